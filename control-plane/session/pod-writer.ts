/**
 * Makes what agents report about pods durable: many pods in one fenced transaction; what loses a race is read afresh
 * and retried alone. When `writePods` resolves, every update is stored or has been found to be of no effect.
 */
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { type Compare, deleteOf, modRevisionIs, type Operation, putOf, type Store } from '../../lib/store/store.ts';
import type { Pod, PodStatusUpdate } from '../../proto/gen/types.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import type { Snapshot } from '../state/snapshot.ts';
import type { FencedWriter } from './fenced-write.ts';
import { planPodUpdate } from './status-plan.ts';

export interface PodWriterDependencies {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly snapshot: Snapshot;
  readonly log: Log;
}

/** Two operations a pod at most, and etcd takes 128 a transaction, the fence among them. */
const podsPerTransaction = 50;
const attempts = 10;

export async function writePods(
  nodeName: string,
  updates: readonly PodStatusUpdate[],
  writer: FencedWriter,
  dependencies: PodWriterDependencies,
): Promise<void> {
  for (let start = 0; start < updates.length; start += podsPerTransaction) {
    await writeTogether(nodeName, updates.slice(start, start + podsPerTransaction), writer, dependencies);
  }
}

interface Write {
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
}

async function writeTogether(
  nodeName: string,
  updates: readonly PodStatusUpdate[],
  writer: FencedWriter,
  dependencies: PodWriterDependencies,
): Promise<void> {
  const { snapshot } = dependencies;
  const fromSnapshot = ({ namespace, name = '' }: PodStatusUpdate) => snapshot.get('Pod', namespace, name);
  const current = updates.map((update) => ({ update, stored: fromSnapshot(update) }));
  // What the snapshot has not seen yet, or has seen end already, the store itself must tell.
  const known = current.filter(({ update, stored }) => stored?.metadata.uid === update.uid);
  const doubtful = current.filter((entry) => !known.includes(entry)).map(({ update }) => update);

  const writes = known.flatMap(({ update, stored }) => planWrite(nodeName, update, stored, dependencies) ?? []);
  if (writes.length > 0 && !(await tryWrite(writes, writer))) doubtful.push(...known.map(({ update }) => update));
  for (const update of doubtful) await writer.persist(() => writeAlone(nodeName, update, writer, dependencies));
}

/** False also when the store could not say: then each pod is looked at alone. */
async function tryWrite(writes: readonly Write[], writer: FencedWriter): Promise<boolean> {
  try {
    return await writer.write(
      writes.flatMap(({ compare }) => compare),
      writes.flatMap(({ success }) => success),
    );
  } catch (error) {
    if (error instanceof GantryError && error.code !== 'failedPrecondition') return false;
    throw error;
  }
}

async function writeAlone(
  nodeName: string,
  update: PodStatusUpdate,
  writer: FencedWriter,
  dependencies: PodWriterDependencies,
): Promise<void> {
  const { store, codec } = dependencies;
  const key = objectKey('Pod', update.namespace, update.name ?? '');
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { kv } = await store.get(key);
    const stored = kv && (codec.decode(key, kv.value, kv.modRevision) as Pod);
    const planned = planWrite(nodeName, update, stored, dependencies);
    if (!planned) return;
    if (await writer.write(planned.compare, planned.success)) return;
  }
  throw new GantryError('aborted', `pod ${update.namespace}/${update.name} is being written by many; report it again`);
}

function planWrite(
  nodeName: string,
  update: PodStatusUpdate,
  stored: Pod | undefined,
  { codec, log }: PodWriterDependencies,
): Write | undefined {
  const plan = planPodUpdate(stored, update, nodeName);
  if (plan.type === 'ignore') {
    const { namespace, name, uid, removed } = update;
    log.debug({ node: nodeName, namespace, name, uid, removed, reason: plan.reason }, 'a status update has no effect');
    return undefined;
  }
  const key = keyOf(plan.pod);
  const compare = [modRevisionIs(key, revisionOf(plan.pod))];
  if (plan.type === 'put') return { compare, success: [putOf(key, codec.encode(plan.pod))] };
  // The object and its address go together: an address is free only when nothing uses it any more.
  return { compare, success: [key, ...allocationKeysOf(plan.pod)].map(deleteOf) };
}
