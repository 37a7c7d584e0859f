/** The condition RolledBack of a Deployment that went back by itself: under way, done, or in vain. */
import { findCondition } from '../../../lib/model/conditions.ts';
import type { Condition, Deployment, DeploymentStatus } from '../../../proto/gen/types.ts';
import { deadlineExceeded, msUntilDeadline, upsert } from './progress.ts';
import { type Counts, isComplete, type Rollout } from './rollout.ts';

export const rollbackFailed = 'RollbackFailed';

export function setRolledBack(
  deployment: Deployment,
  rollout: Rollout,
  conditions: Condition[],
  nowMs: number,
): Condition[] {
  if (rollout.rollback?.reason !== deadlineExceeded) return conditions.filter(({ type }) => type !== 'RolledBack');
  if (deployment.spec.paused) return conditions;
  const before = findCondition(conditions, 'RolledBack');
  const set = (status: Condition['status'], reason: string, message: string, moved = false): Condition[] =>
    upsert(conditions, { type: 'RolledBack', status, reason, message }, moved, nowMs);
  const revision = `revision ${rollout.revision} (ReplicaSet "${rollout.newest}")`;
  const until = 'until the template or its configuration changes';
  if (isComplete(rollout)) return set('True', 'RolledBack', `Runs ${revision} in place of the template's, ${until}`);
  // A pod lost later is not a rollback; and one attempt is all there is.
  if (before?.status === 'True' || before?.reason === rollbackFailed) return conditions;
  if (!before || hasMoved(deployment.status ?? {}, rollout.counts)) {
    return set('False', 'RollingBack', `Going back to ${revision}`, true);
  }
  if (msUntilDeadline(deployment, before, nowMs) > 0) return conditions;
  const obstacle = rollout.obstacle();
  const why = obstacle === undefined ? '' : `: ${obstacle}`;
  const message = `The former ${revision} has timed out as well${why}; nothing more is tried ${until}`;
  return set('False', rollbackFailed, message);
}

/** Pods of the failed template go, those of the former one come. */
function hasMoved(before: DeploymentStatus, counts: Counts): boolean {
  const { updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = before;
  return counts.ofTemplate < updatedReplicas || counts.ready > readyReplicas || counts.available > availableReplicas;
}
