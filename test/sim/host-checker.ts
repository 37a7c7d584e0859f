/** Looks at every machine whenever something on one changes, and after healing at what is left there. */
import { objectKey } from '../../lib/model/keys.ts';
import type { SimNode } from './node.ts';
import type { Identity, Report, StoreChecker } from './store-checker.ts';
import { machinesOf } from './workloads/storage.ts';

export class HostChecker {
  readonly #nodes: () => readonly SimNode[];
  readonly #identities: ReadonlyMap<string, Identity>;
  readonly #machines: ReadonlyMap<string, readonly string[]>;
  readonly #report: Report;
  /** What runs on a machine that is none is behind no route of the cluster's any more, while it is being stopped. */
  readonly #isNode: (node: SimNode) => boolean;

  constructor(nodes: () => readonly SimNode[], { identities, storage, objects }: StoreChecker, report: Report) {
    this.#nodes = nodes;
    this.#identities = identities;
    this.#machines = storage.machines;
    this.#report = report;
    this.#isNode = ({ name }) => objects.has(objectKey('Node', undefined, name));
  }

  /** After a change of the pod `uid` on some machine; empty: of its network. */
  changed(uid: string): void {
    if (uid === '') this.#checkAddresses();
    else this.#checkPod(uid);
  }

  /** Whatever no stored pod accounts for. Machines that have left the cluster are nobody's any more. */
  leaks(store: StoreChecker): string[] {
    return this.#nodes().flatMap((node) => {
      if (node.left || !node.powered) return [];
      const own = new Set(
        store
          .list('Pod')
          .filter((pod) => pod.spec.nodeName === node.name)
          .map((pod) => pod.metadata.uid!),
      );
      const strange = (what: string, uids: Iterable<string>): string[] =>
        [...uids].filter((uid) => !own.has(uid)).map((uid) => `${node.name}: ${what} of pod ${uid}`);
      return [
        ...strange(
          'container',
          [...node.host.containers.values()].map(({ config }) => config.podUid),
        ),
        ...strange('sandbox', node.host.sandboxes.keys()),
        ...strange('network attachment', node.network.attached.keys()),
        ...strange('record', node.files.records.keys()),
        ...strange('volume', node.files.volumes.keys()),
        ...(node.joinedAgain ? [] : strangeDirectories(node, store)),
      ];
    });
  }

  runs(nodeName: string, uid: string): boolean {
    const node = this.#nodes().find(({ name }) => name === nodeName);
    return node !== undefined && runsOn(node, uid);
  }

  /** The files of a ConfigMap or Secret as the machine shows them to the pod. */
  volume(nodeName: string, uid: string, volume: string): Readonly<Record<string, string>> | undefined {
    const node = this.#nodes().find(({ name }) => name === nodeName);
    const plan = node?.files.volumes.get(uid)?.find(({ name }) => name === volume);
    if (plan?.type !== 'files') return undefined;
    return Object.fromEntries(plan.files.map(({ path, data }) => [path, Buffer.from(data).toString('utf8')]));
  }

  /** An agent that is told so stops what it runs: it must be true of the Node as which it was welcomed. */
  toldDeleted({ name }: SimNode, uid: string | undefined, store: StoreChecker): void {
    const stored = store.list('Node').find(({ metadata }) => metadata.name === name);
    if (stored && stored.metadata.uid === uid)
      this.#report('told-deleted', `the agent of ${name} was told that its node was deleted, and it is there`);
  }

  /** The directory of a volume is gone from a machine: the claim whose it was must be gone before. Its uid is in the path. */
  volumeRemoved(node: SimNode, path: string, store: StoreChecker): void {
    const claim = store.list('PersistentVolumeClaim').find(({ metadata }) => path.endsWith(metadata.uid ?? '-'));
    if (claim)
      this.#report('volume-data', `${path} was removed from ${node.name}: claim ${claim.metadata.name} is there`);
  }

  #checkPod(uid: string): void {
    const hosts = this.#nodes().filter((node) => runsOn(node, uid));
    if (hosts.length === 0) return;
    if (hosts.length > 1)
      this.#report('one-node-per-pod', `pod ${uid} runs on ${hosts.map(({ name }) => name).join(' and ')}`);
    const machines = this.#machines.get(uid);
    for (const { name } of hosts) {
      if (machines && !machines.includes(name))
        this.#report('volume-node', `pod ${uid} runs on ${name}, and its volumes are on ${machines.join(', ')}`);
    }
    const identity = this.#identities.get(uid);
    if (identity) this.#checkIdentity(identity, uid, hosts[0]!.name);
  }

  /** Judged by what runs, whatever anybody believes. */
  #checkIdentity({ key, fencing }: Identity, uid: string, nodeName: string): void {
    for (const node of this.#nodes()) {
      for (const { config, status } of node.host.containers.values()) {
        if (status.state !== 'running' || config.podUid === uid) continue;
        if (this.#identities.get(config.podUid)?.key !== key) continue;
        const both = `pod ${uid} on ${nodeName} and pod ${config.podUid} on ${node.name}`;
        this.#report(fencing === 'strict' ? 'strict-once' : 'stop-after-once', `${key} runs twice: ${both}`);
        return;
      }
    }
  }

  #checkAddresses(): void {
    const holders = new Map<string, { readonly podUid: string; readonly node: string }>();
    for (const node of this.#nodes()) {
      if (node.left || !this.#isNode(node)) continue;
      for (const { ip, podUid } of node.network.attached.values()) {
        const other = holders.get(ip);
        if (other && other.podUid !== podUid) {
          const both = `pod ${podUid} on ${node.name} and to pod ${other.podUid} on ${other.node}`;
          this.#report('one-pod-per-ip', `${ip} is attached to ${both}`);
        }
        holders.set(ip, { podUid, node: node.name });
      }
    }
  }
}

/** Of volumes that are not there, or on other machines. */
function strangeDirectories({ name, files }: SimNode, store: StoreChecker): string[] {
  const here = store
    .list('PersistentVolume')
    .filter((volume) => machinesOf(volume)?.includes(name))
    .map(({ spec }) => spec.local?.path);
  return [...files.persistentDirs].filter((path) => !here.includes(path)).map((path) => `${name}: directory ${path}`);
}

function runsOn(node: SimNode, uid: string): boolean {
  for (const { config, status } of node.host.containers.values()) {
    if (config.podUid === uid && status.state === 'running') return true;
  }
  return false;
}
