/**
 * Delete and Evict. A bound pod is marked and goes when its agent has stopped it; an object with finalizers when those
 * are gone; a namespace when it is empty; everything else at once, with the addresses it held. What it owned is left to
 * the garbage collector, which for propagationPolicy Foreground deletes it first and for Orphan sets it free.
 */
import { GantryError } from '../../lib/errors.ts';
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { foregroundFinalizer, orphanFinalizer } from '../../lib/model/deletion-holders.ts';
import { sameValue } from '../../lib/model/equal.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { type Compare, deleteOf, modRevisionIs, type Operation, putOf } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { deletionOf } from '../state/deletion.ts';
import { checkPrecondition } from './change.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { chargeBudgets } from './eviction.ts';
import { checkFencing } from './fencing.ts';
import {
  notFound,
  raise,
  retryConflicts,
  type Target,
  targetOf,
  withRevision,
  write,
  writeRemoval,
} from './objects.ts';
import { authorizeKind } from './roles.ts';
import { decodeOrStandIn } from './unreadable.ts';
import { response } from './write.ts';

/** What has to be done about what it owns before it goes. */
const finalizerOf = { Background: [], Foreground: [foregroundFinalizer], Orphan: [orphanFinalizer] } as const;
type PropagationPolicy = keyof typeof finalizerOf;
const policyFinalizers: readonly string[] = [foregroundFinalizer, orphanFinalizer];

interface DeleteOptions {
  readonly gracePeriodSeconds?: number | undefined;
  readonly policy?: PropagationPolicy;
  readonly uid?: string | undefined;
  readonly dryRun?: boolean;
  /** What the deletion costs others, in the same transaction; throws when they do not allow it. */
  readonly charge?: (dependencies: ApiDependencies, object: KubeObject) => Promise<Charge>;
}

export interface Charge {
  readonly compare: readonly Compare[];
  readonly operations: readonly Operation[];
}

export function deleteHandlers(dependencies: ApiDependencies): Pick<ClusterHandlers, 'Delete' | 'Evict'> {
  return {
    async Delete(
      { gracePeriodSeconds, propagationPolicy = 'Background', uid, dryRun = false, ...request },
      { peer, signal },
    ) {
      const target = targetOf(request);
      authorizeKind(peer, 'write', target.kind);
      if (!Object.hasOwn(finalizerOf, propagationPolicy)) {
        const message = `propagationPolicy: ${JSON.stringify(propagationPolicy)} is not one; use Background, Foreground or Orphan`;
        throw new GantryError('invalidArgument', message);
      }
      const policy = propagationPolicy as PropagationPolicy;
      const options = { gracePeriodSeconds, policy, uid, dryRun };
      return response(await deleteObject({ ...dependencies, signal }, target, options));
    },

    async Evict({ gracePeriodSeconds, ...request }, { peer, signal }) {
      const target = targetOf({ ...request, kind: 'Pod' });
      authorizeKind(peer, 'write', 'Pod');
      const options = { gracePeriodSeconds, charge: chargeBudgets };
      return response(await deleteObject({ ...dependencies, signal }, target, options));
    },
  };
}

/** Answers the object as it is now, or as it was last. */
export async function deleteObject(
  dependencies: ApiDependencies,
  target: Target,
  { gracePeriodSeconds, policy, uid, dryRun = false, charge }: DeleteOptions,
): Promise<KubeObject> {
  if (gracePeriodSeconds !== undefined && gracePeriodSeconds < 0) {
    throw new GantryError('invalidArgument', `gracePeriodSeconds: ${gracePeriodSeconds} is negative; use 0 to force`);
  }
  checkDeletable(target);
  return retryConflicts(dependencies, `${target.kind} ${JSON.stringify(target.name)}`, async () => {
    const stored = await readAsIs(dependencies, target);
    checkPrecondition(stored, { uid });
    await checkFencing(dependencies, stored, gracePeriodSeconds);
    const object = policy === undefined ? stored : withPolicy(stored, policy);
    const decided = deletionOf(object, gracePeriodSeconds, dependencies.clock.nowMs());
    // On its way already, but what it owns is to fare differently.
    const deletion = decided.type === 'none' && object !== stored ? { type: 'mark' as const, object } : decided;
    if (deletion.type === 'none' || dryRun) return deletion.type === 'mark' ? deletion.object : stored;
    const cost = await charge?.(dependencies, stored);
    const compare = [modRevisionIs(target.key, revisionOf(stored)), ...(cost?.compare ?? [])];
    if (deletion.type === 'remove') {
      const success = [...[target.key, ...allocationKeysOf(stored)].map(deleteOf), ...(cost?.operations ?? [])];
      const { succeeded, revision } = await writeRemoval(dependencies, target.key, { compare, success });
      return succeeded ? withRevision(stored, revision) : undefined;
    }
    const success = [putOf(target.key, dependencies.codec.encode(deletion.object)), ...(cost?.operations ?? [])];
    const { succeeded, revision } = await write(dependencies, { compare, success });
    return succeeded ? withRevision(deletion.object, revision) : undefined;
  });
}

/** What cannot be read can be deleted. */
async function readAsIs({ store, codec }: ApiDependencies, target: Target): Promise<KubeObject> {
  const { kv } = await store.get(target.key);
  return (kv && decodeOrStandIn(codec, kv)) ?? raise(notFound(target));
}

function checkDeletable({ kind, name }: Target): void {
  if (kind === 'Namespace' && name === 'default') {
    const cure = 'delete what is in it instead: ctl delete deployment,service,pod --all';
    throw new GantryError('failedPrecondition', `the namespace "default" stays; ${cure}`);
  }
}

/** One policy takes the place of another. */
function withPolicy(object: KubeObject, policy: PropagationPolicy): KubeObject {
  const before = object.metadata.finalizers ?? [];
  const finalizers = [...before.filter((one) => !policyFinalizers.includes(one)), ...(finalizerOf[policy] ?? [])];
  if (sameValue(finalizers, before)) return object;
  return { ...object, metadata: { ...object.metadata, finalizers } } as KubeObject;
}
