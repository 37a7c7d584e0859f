/** Changing a stored object: read, change, admit, write if nobody was faster, otherwise again. */
import { GantryError } from '../../lib/errors.ts';
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { withChangesDisowned } from '../../lib/model/apply.ts';
import { sameValue } from '../../lib/model/equal.ts';
import { isDeleting, revisionOf } from '../../lib/model/object.ts';
import { isPodBound } from '../../lib/model/pods.ts';
import { deleteOf, modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { admitChange } from './admission.ts';
import { type Claim, claimAllocations } from './allocations.ts';
import type { ApiDependencies } from './dependencies.ts';
import {
  nameOf,
  readExisting,
  retryConflicts,
  staleError,
  type Target,
  withRevision,
  write,
  writeRemoval,
} from './objects.ts';
import { checkOwners } from './owners.ts';
import { canCostMore, chargeQuotas, underPolicies } from './policy.ts';
import { checkOneDefault } from './priority.ts';

export interface Precondition {
  /** The change was made against this state; another one is refused instead of retried. */
  readonly resourceVersion?: string | undefined;
  readonly uid?: string | undefined;
}

/** `change` gets the stored object and answers the wanted one; it may be called several times. */
export function changeObject(
  dependencies: ApiDependencies,
  target: Target,
  options: Precondition & { readonly dryRun: boolean },
  change: (old: KubeObject) => KubeObject,
): Promise<KubeObject> {
  const what = `${target.kind} ${JSON.stringify(target.name)}`;
  return retryConflicts(dependencies, what, async () => {
    const old = await readExisting(dependencies, target);
    checkPrecondition(old, options);
    const object = withChangesDisowned(old, admitChange(change(old), old));
    return writeChange(dependencies, target, old, object, options.dryRun);
  });
}

export function checkPrecondition(old: KubeObject, { resourceVersion, uid }: Precondition): void {
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw staleError(nameOf(old), old);
  if (uid && uid !== old.metadata.uid) {
    const message = `${nameOf(old)} has uid ${old.metadata.uid}, not ${uid}: the one that was meant has gone`;
    throw new GantryError('aborted', `${message}; look at the new one first`);
  }
}

/** Undefined when somebody else wrote in between. What changes nothing is not written. */
export async function writeChange(
  dependencies: ApiDependencies,
  target: Target,
  old: KubeObject,
  wanted: KubeObject,
  dryRun: boolean,
): Promise<KubeObject | undefined> {
  const claim = await claimAllocations(dependencies, wanted, old);
  if (sameValue(claim.object, old)) return old;
  await Promise.all([checkOneDefault(dependencies, claim.object), checkOwners(dependencies, claim.object, old)]);
  if (!canCostMore(old)) return writeClaim(dependencies, target, old, claim, dryRun);
  return underPolicies(dependencies, claim.object, async (object, policies) => {
    const charge = await chargeQuotas(dependencies, object, policies, old);
    const compare = [...claim.compare, ...charge.compare];
    const operations = [...claim.operations, ...charge.operations];
    return writeClaim(dependencies, target, old, { object, compare, operations }, dryRun);
  });
}

async function writeClaim(
  dependencies: ApiDependencies,
  { key }: Target,
  old: KubeObject,
  { object, compare, operations }: Claim<KubeObject>,
  dryRun: boolean,
): Promise<KubeObject | undefined> {
  if (dryRun) return object;
  const unchanged = modRevisionIs(key, revisionOf(old));
  if (hasNothingToWaitFor(object)) {
    const success = [deleteOf(key), ...allocationKeysOf(old).map(deleteOf)];
    const { succeeded, revision } = await writeRemoval(dependencies, key, { compare: [unchanged], success });
    return succeeded ? withRevision(object, revision) : undefined;
  }
  const { succeeded, revision } = await write(dependencies, {
    compare: [unchanged, ...compare],
    success: [putOf(key, dependencies.codec.encode(object)), ...operations],
  });
  return succeeded ? withRevision(object, revision) : undefined;
}

/** An object that is being deleted goes with its last finalizer; pods wait for their agent, namespaces are emptied. */
function hasNothingToWaitFor(object: KubeObject): boolean {
  if (!isDeleting(object) || (object.metadata.finalizers ?? []).length > 0) return false;
  return object.kind !== 'Namespace' && !(object.kind === 'Pod' && isPodBound(object));
}
