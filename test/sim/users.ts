/** Users at work on the API, through whichever replica answers. Each writes a number of its own into what it changes. */
import { type GantryError, isGantryError, messageOf } from '../../lib/errors.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import type { Random } from '../../lib/random.ts';
import type { Peer } from '../../lib/rpc/server.ts';
import type { KubeObject, ObjectEnvelope } from '../../proto/gen/types.ts';
import { SimProcess } from './process.ts';
import type { Rpc } from './rpc.ts';
import { servedOperation } from './store.ts';
import { counterPrefix, type Report, type StoreChecker } from './store-checker.ts';
import { appNames, workloadOf, workloads } from './workloads.ts';
import type { World } from './world.ts';

export interface UserOptions {
  readonly servers: readonly string[];
  readonly checker: StoreChecker;
  readonly report: Report;
  /** Pods that all workloads together may ask for. */
  readonly mostPods: number;
  /** Between two things a user does, on average. */
  readonly pauseMs: number;
}

/** Now and then all users change the same object, as fast as they can. */
const rushEveryMs = 6_000;
const rushMs = 60;
const hotName = 'hot';
const otherNamespace = 'temporary';

export interface DeleteOptions {
  readonly namespace?: string;
  readonly gracePeriodSeconds?: number;
}

export const admin = (name: string): Peer => ({ commonName: name, organization: 'admin', address: '192.0.2.9:50000' });

export class SimUser {
  readonly name: string;
  readonly #world: World;
  readonly #rpc: Rpc;
  readonly #options: UserOptions;
  readonly #process: SimProcess;
  readonly #random: Random;
  #count = 0;
  #working = true;

  constructor(world: World, rpc: Rpc, name: string, options: UserOptions) {
    this.name = name;
    this.#world = world;
    this.#rpc = rpc;
    this.#options = options;
    this.#process = new SimProcess(world, { name, host: 'users' });
    this.#random = world.fork();
  }

  /** Until `rest`. */
  async work(): Promise<void> {
    const { pauseMs } = this.#options;
    this.#working = true;
    while (this.#working) {
      const untilRushMs = rushEveryMs - (this.#world.nowMs % rushEveryMs);
      await this.#process.clock.sleep(Math.min(untilRushMs, pauseMs * (0.2 + 1.6 * this.#random.next())));
      if (!this.#working) return;
      if (this.#world.nowMs % rushEveryMs < rushMs) await this.#rush();
      else await this.#act();
    }
  }

  rest(): void {
    this.#working = false;
  }

  /** Applies the manifest; false when that failed or nobody knows. */
  async apply(manifest: KubeObject): Promise<boolean> {
    const object = this.#signed(manifest);
    return this.#attempt('apply', `${manifest.kind} ${manifest.metadata.name}`, 'Apply', {
      object: toEnvelope(object),
      fieldManager: this.name,
    });
  }

  scale(kind: string, name: string, replicas: number, namespace = 'default'): Promise<boolean> {
    const what = `${kind} ${namespace}/${name} to ${replicas}`;
    return this.#attempt('scale', what, 'Scale', { kind, namespace, name, replicas });
  }

  delete(kind: string, name: string, options: DeleteOptions = {}): Promise<boolean> {
    const { namespace = 'default', ...rest } = options;
    return this.#attempt('delete', `${kind} ${namespace}/${name}`, 'Delete', { kind, namespace, name, ...rest });
  }

  /** A small change of somebody's object that must not undo the others'. */
  annotate(kind: string, name: string, namespace = 'default'): Promise<boolean> {
    this.#count += 1;
    const patch = JSON.stringify({ metadata: { annotations: { [counterPrefix + this.name]: String(this.#count) } } });
    return this.#attempt('annotate', `${kind} ${namespace}/${name}`, 'Patch', { kind, namespace, name, patch });
  }

  /** A second namespace, made when it is wanted; `end`: deleted with all that is in it. False when it is not there. */
  async #haveNamespace(end: boolean): Promise<boolean> {
    const present = this.#options.checker.objects.get(objectKey('Namespace', undefined, otherNamespace));
    if (present && end) await this.delete('Namespace', otherNamespace);
    if (present) return !end && !present.metadata.deletionTimestamp;
    return this.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: otherNamespace } });
  }

  /** A node takes no new pods, or does again. */
  async #cordon(): Promise<void> {
    const nodes = this.#options.checker.list('Node');
    const node = nodes[Math.floor(this.#random.next() * nodes.length)];
    if (node) await this.setSchedulable(node.metadata.name, node.spec.unschedulable === true);
  }

  setSchedulable(name: string, schedulable: boolean): Promise<boolean> {
    const patch = JSON.stringify({ spec: { unschedulable: schedulable ? null : true } });
    return this.#attempt(schedulable ? 'uncordon' : 'cordon', name, 'Patch', { kind: 'Node', name, patch });
  }

  /** All users at once on one object. */
  async #rush(): Promise<void> {
    if (!this.#options.checker.objects.has(objectKey('ConfigMap', 'default', hotName))) {
      await this.apply({ ...workloadOf('ConfigMap')!.make(hotName, this.#random, 0) });
    }
    while (this.#working && this.#world.nowMs % rushEveryMs < rushMs) await this.annotate('ConfigMap', hotName);
  }

  #signed(manifest: KubeObject): KubeObject {
    this.#count += 1;
    const annotations = { ...manifest.metadata.annotations, [counterPrefix + this.name]: String(this.#count) };
    return { ...manifest, metadata: { ...manifest.metadata, annotations } } as KubeObject;
  }

  async #act(): Promise<void> {
    const { checker, mostPods } = this.#options;
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.08) {
      const pods = checker.list('Pod');
      const pod = pods[Math.floor(random.next() * pods.length)];
      if (!pod) return;
      const { name, namespace = 'default' } = pod.metadata;
      await this.delete('Pod', name, { namespace, ...(random.next() < 0.2 && { gracePeriodSeconds: 0 }) });
      return;
    }
    if (dice < 0.1) return this.#cordon();
    const workload = this.#chooseWorkload();
    const name = appNames[Math.floor(random.next() * appNames.length)]!;
    const namespace = random.next() < 0.15 ? otherNamespace : 'default';
    if (namespace !== 'default' && !(await this.#haveNamespace(dice < 0.2))) return;
    const current = checker.objects.get(objectKey(workload.kind, namespace, name));
    // Somebody else may add to it at the same time; the limit leaves room for that.
    const others = workloads.flatMap(({ kind }) => checker.list(kind)).filter((object) => object !== current);
    const asked = others.reduce((sum, object) => sum + (workloadOf(object.kind)?.load(object) ?? 0), 0);
    const load = Math.max(0, Math.min(6, mostPods - asked));
    if (!current) await this.apply(within(namespace, workload.make(name, random, load)));
    else if (dice < 0.2) await this.delete(workload.kind, name, { namespace });
    else if (dice < 0.45) await this.annotate(workload.kind, name, namespace);
    else if (dice < 0.6 && workload.kind === 'Deployment')
      await this.scale(workload.kind, name, Math.floor(random.next() * (load + 1)), namespace);
    else await this.apply(within(namespace, workload.change(unowned(current), random, load)));
  }

  #chooseWorkload(): (typeof workloads)[number] {
    const total = workloads.reduce((sum, { weight }) => sum + weight, 0);
    let rest = this.#random.next() * total;
    for (const workload of workloads) {
      rest -= workload.weight;
      if (rest < 0) return workload;
    }
    return workloads[0]!;
  }

  async #attempt(
    verb: string,
    what: string,
    method: 'Apply' | 'Scale' | 'Delete' | 'Patch',
    request: object,
  ): Promise<boolean> {
    const { servers, checker } = this.#options;
    const count = this.#count;
    const address = servers[Math.floor(this.#random.next() * servers.length)]!;
    const operation = `${this.name} ${verb} ${what} (${count})`;
    try {
      const call = servedOperation.run(operation, () =>
        this.#rpc.unary(this.#process, admin(this.name), address, 'Cluster', method, request),
      );
      const { object: envelope } = (await call) as { object?: ObjectEnvelope };
      const object = envelope && fromEnvelope(envelope);
      this.#world.trace(this.name, `${verb} ${what}: revision ${object?.metadata.resourceVersion}`);
      if (!object) throw new Error(`${method} answered without an object`);
      if (verb === 'delete') this.#checkDeleted(object);
      else if (verb === 'apply' || verb === 'annotate') checker.acknowledge(object, keyOf(object), this.name, count);
      return true;
    } catch (error) {
      if (!isGantryError(error)) throw error;
      this.#world.trace(this.name, `${verb} ${what} at ${address}: ${(error as GantryError).code} ${messageOf(error)}`);
      return false;
    }
  }

  #checkDeleted(object: KubeObject): void {
    const current = this.#options.checker.objects.get(keyOf(object));
    if (!current || current.metadata.uid !== object.metadata.uid || current.metadata.deletionTimestamp) return;
    this.#options.report(
      'acknowledged-writes',
      `${keyOf(object)} was deleted, as its user was told, and is still there`,
    );
  }
}

const within = (namespace: string, object: KubeObject): KubeObject =>
  ({ ...object, metadata: { ...object.metadata, namespace } }) as KubeObject;

/** The manifest again, without what the cluster added. */
function unowned({ apiVersion, kind, metadata, ...rest }: KubeObject): KubeObject {
  const { status: _status, ...content } = rest as { status?: unknown };
  const { name, namespace } = metadata;
  return { apiVersion, kind, metadata: { name, ...(namespace && { namespace }) }, ...content } as KubeObject;
}
