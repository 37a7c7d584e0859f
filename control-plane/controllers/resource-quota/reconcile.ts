/**
 * ResourceQuota: counts what is there anew, so that what was deleted or has ended makes room, and drift goes.
 *
 * - Writes: the quota's `status`, whole. Creations raise `used` in their own transaction, which compares the quota's
 *   revision: a count made before a creation can never overwrite it.
 * - Nothing is ever deleted for a quota's sake; one that is exceeded says so, and refuses what is new.
 */
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { countedStatus, excessOf, isInScope } from '../../../lib/model/quota.ts';
import { usesUntilMs } from '../../../lib/model/usage.ts';
import type { ResourceQuota } from '../../../proto/gen/types.ts';
import type { ReconcileResult, Snapshot } from '../../state/snapshot.ts';

export function reconcileQuota(snapshot: Snapshot, quota: ResourceQuota, nowMs: number): ReconcileResult {
  if (isDeleting(quota)) return { changes: [] };
  const { namespace } = quota.metadata;
  const status = countedStatus(quota, (kind) => snapshot.list(kind, namespace), nowMs);
  const wakeMs = nextEndMs(snapshot, quota, nowMs);
  const requeue = wakeMs === undefined ? {} : { requeueAfterMs: wakeMs };
  if (isSame(status, quota.status)) return { changes: [], ...requeue };
  const object = { ...quota, status };
  return { changes: [{ type: 'update', object }], events: excessEvents(quota, object), ...requeue };
}

/** When a pod that was told to go stops counting, whether its node can say so or not. */
function nextEndMs(snapshot: Snapshot, quota: ResourceQuota, nowMs: number): number | undefined {
  const ends = snapshot.list('Pod', quota.metadata.namespace).flatMap((pod) => {
    const endMs = usesUntilMs(pod);
    return endMs !== undefined && endMs > nowMs && isInScope(quota, pod) ? [endMs - nowMs] : [];
  });
  return ends.length > 0 ? Math.min(...ends) : undefined;
}

/** Said when it comes to be so, and when it becomes worse or better in its resources. */
function excessEvents(before: ResourceQuota, after: ResourceQuota): NonNullable<ReconcileResult['events']> {
  const excess = excessOf(after);
  const told = excessOf({ ...before, spec: { hard: before.status?.hard ?? {} } });
  const names = (parts: readonly string[]): string => parts.map((part) => part.split('=')[0]).join();
  if (excess.length === 0 || names(told) === names(excess)) return [];
  const message = `More is used than the quota allows (${excess.join(', ')}): nothing is deleted, nothing more is admitted`;
  return [{ type: 'Warning', reason: 'QuotaExceeded', message, about: after }];
}
