/**
 * All pods of the node: one worker for each pod that should be here or of which something is left here.
 *
 * Invariants: until the node has a slice (from disk or from the control plane) nothing is touched; a pod is taken down
 * only because a slice at least as new as the one that brought it lacks it or marks it deleted; stopping the agent
 * stops no container.
 */
import type { Timer } from '../../lib/clock.ts';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { limiter } from '../runtime/keyed-queue.ts';
import type { SliceReader } from '../session/slice.ts';
import { usesHostUsers } from './container-config.ts';
import type { PodDependencies, PodSourcesReader } from './pod-context.ts';
import { newRecord, type PodRecord } from './record.ts';
import { observeAllPods, type RuntimePod } from './runtime-view.ts';
import { allocateIdRange } from './user-ids.ts';
import { type PodWorker, startPodWorker } from './worker.ts';

export interface Pods {
  /** Reads what former agents left, and begins. Throws when the runtime or the disk cannot be read at all. */
  start(): Promise<void>;
  /** Ends the agent's part; every container runs on. */
  stop(): Promise<void>;
  /** Pods of which something is or will be here. */
  uids(): readonly string[];
  /** As desired, or as last desired. */
  pod(uid: string): Pod | undefined;
}

export interface PodsOptions {
  /** Pods that take a step at the same time. Default 6. */
  readonly concurrency?: number;
}

const defaultConcurrency = 6;
/** What no notification told of (a pause process of a former agent that died) is found after this long. */
const lookAroundMs = 2_000;
const rotateLogsMs = 10_000;

export function createPods(deps: PodDependencies & { readonly slice: SliceReader }, options: PodsOptions = {}): Pods {
  const { clock, log, nodeName, runtime, slice } = deps;
  const bounded = limiter(options.concurrency ?? defaultConcurrency);
  const workers = new Map<string, PodWorker>();
  const found = new Map<string, PodRecord>();
  /** Reported as removed, and still in the slice: left alone until the slice says something new of them. */
  const gone = new Set<string>();
  const fingerprints = new Map<string, string>();
  const cancels: (() => void)[] = [];
  const timers = new Set<Timer>();
  let desired = new Map<string, Pod>();
  let begun = false;
  let running = false;

  const sources: PodSourcesReader = {
    get: ((kind: 'ConfigMap' | 'Secret', namespace: string | undefined, name: string) =>
      slice.get(kind, namespace, name)) as PodSourcesReader['get'],
    services: (namespace) => slice.list('Service').filter((service) => service.metadata.namespace === namespace),
  };

  const readDesired = (): Map<string, Pod> => {
    const pods = new Map<string, Pod>();
    for (const pod of slice.list('Pod')) {
      if (pod.spec.nodeName === nodeName && pod.metadata.uid) pods.set(pod.metadata.uid, pod);
    }
    return pods;
  };

  /** A slice older than the one that brought the pod proves nothing by lacking it. */
  const desiredOf = (uid: string, record: () => PodRecord | undefined): Pod | undefined => {
    const pod = desired.get(uid);
    if (pod) return pod;
    const known = record();
    return known && isOlder(slice.revision, known.sliceRevision) ? known.pod : undefined;
  };

  const network: PodDependencies['network'] = {
    dnsIP: deps.network.dnsIP,
    detach: (uid) => deps.network.detach(uid),
    retain: (uids) => deps.network.retain(uids),
    /** A pod that was deleted by force may still be here when its address is given to another. */
    async attach(attachment) {
      const { ip, podUid } = attachment;
      const records = [...[...workers.values()].map((worker) => worker.record()), ...found.values()];
      const holder = records.find(({ pod }) => pod.status?.podIP === ip && pod.metadata.uid !== podUid);
      if (!holder || holder.pod.spec.hostNetwork) return deps.network.attach(attachment);
      const { namespace, name } = holder.pod.metadata;
      const message = `address ${ip} is still held by pod ${namespace}/${name}, which is being taken down on this node`;
      throw new GantryError('failedPrecondition', message);
    },
  };

  const startWorker = (uid: string, record: PodRecord, recordSaved: boolean): void => {
    const worker = startPodWorker({
      deps: { ...deps, network },
      sources,
      record,
      recordSaved,
      desired: () => desiredOf(uid, () => workers.get(uid)?.record() ?? record),
      bounded,
    });
    workers.set(uid, worker);
    void worker.done.then(() => {
      if (workers.get(uid) !== worker || !running) return;
      workers.delete(uid);
      fingerprints.delete(uid);
      gone.add(uid);
    });
  };

  const begin = (uid: string, pod: Pod): void => {
    const record = found.get(uid);
    if (record) {
      found.delete(uid);
      startWorker(uid, record, true);
      return;
    }
    const taken = new Set([...workers.values()].map((worker) => worker.record().hostIdStart ?? -1));
    for (const other of found.values()) taken.add(other.hostIdStart ?? -1);
    const hostIdStart = usesHostUsers(pod) ? undefined : allocateIdRange(taken, nodeName);
    startWorker(uid, newRecord(pod, clock.nowMs(), hostIdStart, slice.revision), false);
  };

  /** Everything the slice has now; the first time also everything a former agent left. */
  const sync = (touched: ReadonlySet<string>): void => {
    if (!running || slice.revision === undefined) return;
    const before = desired;
    desired = readDesired();
    if (!begun) {
      begun = true;
      for (const [uid, record] of [...found]) begin(uid, record.pod);
    }
    for (const uid of gone) if (!desired.has(uid) || touched.has(uid)) gone.delete(uid);
    for (const [uid, pod] of desired) if (!workers.has(uid) && !gone.has(uid)) begin(uid, pod);
    for (const [uid, worker] of workers) {
      if (touched.has(uid)) worker.changed();
      // What the slice lacks may only have been waiting for one new enough to say so.
      else if (before.get(uid) !== desired.get(uid) || !desired.has(uid)) worker.wake();
    }
  };

  const lookAround = async (): Promise<void> => {
    for (const [uid, pod] of await observeAllPods(runtime)) {
      const fingerprint = fingerprintOf(pod);
      if (fingerprints.get(uid) === fingerprint) continue;
      fingerprints.set(uid, fingerprint);
      workers.get(uid)?.wake();
    }
  };

  const every = (intervalMs: number, work: () => Promise<void>): void => {
    const timer = clock.schedule(intervalMs, () => {
      timers.delete(timer);
      if (!running) return;
      work()
        .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'regular work failed'))
        .finally(() => every(intervalMs, work));
    });
    timers.add(timer);
  };

  /** A record for what runs without one: the slice and the runtime stand in for the file that was lost. */
  const recover = async (uid: string, { sandbox, containers }: RuntimePod): Promise<PodRecord> => {
    const spec = { containers: [...new Set(containers.map(({ name }) => name))].map((name) => ({ name, image: '' })) };
    const unknown: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: uid, namespace: 'unknown', uid }, spec };
    const hostIdStart = sandbox?.alive ? await deps.files.readHostIdStart(sandbox.pid) : undefined;
    return newRecord(desired.get(uid) ?? unknown, sandbox?.createdAtMs ?? clock.nowMs(), hostIdStart);
  };

  return {
    async start() {
      running = true;
      for (const record of await deps.files.loadRecords()) found.set(record.pod.metadata.uid!, record);
      const left = await observeAllPods(runtime);
      desired = readDesired();
      for (const [uid, pod] of left) {
        if (found.has(uid)) continue;
        found.set(uid, await recover(uid, pod));
      }
      await deps.network.retain(new Set(left.keys()));
      await deps.fencing.retain(new Set(found.keys()));
      cancels.push(slice.onChange((change) => sync(change.podUIDs)));
      cancels.push(runtime.onChange((uid) => workers.get(uid)?.wake()));
      every(lookAroundMs, lookAround);
      every(rotateLogsMs, () => runtime.rotateLogs());
      sync(new Set());
    },
    async stop() {
      running = false;
      for (const cancel of cancels) cancel();
      for (const timer of timers) timer.cancel();
      await Promise.all([...workers.values()].map((worker) => worker.stop()));
    },
    uids: () => [...new Set([...workers.keys(), ...found.keys()])],
    pod: (uid) => desired.get(uid) ?? workers.get(uid)?.record().pod ?? found.get(uid)?.pod,
  };
}

function fingerprintOf({ sandbox, containers }: RuntimePod): string {
  return `${sandbox?.alive} ${containers.map(({ id, state }) => `${id}=${state}`).join(' ')}`;
}

/** Store revisions are decimal strings of 64 bits. */
function isOlder(revision: string | undefined, than: string | undefined): boolean {
  return revision !== undefined && than !== undefined && BigInt(revision) < BigInt(than);
}
