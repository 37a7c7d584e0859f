/** The condition Progressing, with Kubernetes' reasons: whether a rollout goes on, has ended, or has missed its deadline. */
import { timestamp } from '../../../lib/clock.ts';
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import type { Condition, Deployment, DeploymentStatus } from '../../../proto/gen/types.ts';
import { configurationMissing } from '../configuration/original-gone.ts';
import { type Counts, isComplete, type Rollout } from './rollout.ts';

const defaultProgressDeadlineSeconds = 600;
export const deadlineExceeded = 'ProgressDeadlineExceeded';

export function setProgressing(
  deployment: Deployment,
  rollout: Rollout,
  conditions: Condition[],
  nowMs: number,
): Condition[] {
  const before = findCondition(conditions, 'Progressing');
  const next = progress(deployment, rollout, before, nowMs);
  return next ? upsert(conditions, { type: 'Progressing', ...next.condition }, next.moved, nowMs) : conditions;
}

type Progress = { readonly condition: Omit<Condition, 'type'>; readonly moved: boolean };

const going = (reason: string, message: string, moved: boolean): Progress => ({
  condition: { status: 'True', reason, message },
  moved,
});
const stuck = (message: string): Progress => ({
  condition: { status: 'False', reason: deadlineExceeded, message },
  moved: false,
});

/** Undefined: leave the condition as it is. */
function progress(
  deployment: Deployment,
  rollout: Rollout,
  before: Condition | undefined,
  nowMs: number,
): Progress | undefined {
  const { newest = '', began, counts, rollback, waitsFor } = rollout;
  if (deployment.spec.paused) {
    const message = 'Deployment is paused; resume it to roll out changes.';
    return { condition: { status: 'Unknown', reason: 'DeploymentPaused', message }, moved: false };
  }
  if (rollback?.reason === deadlineExceeded) return stuck(rollback.message ?? '');
  if (waitsFor !== undefined) return waiting(deployment, waitsFor, before, nowMs);
  if (began === 'created') return going('NewReplicaSetCreated', `Created new replica set "${newest}"`, true);
  if (began === 'found') return going('FoundNewReplicaSet', `Found new replica set "${newest}"`, true);
  if (isComplete(rollout)) {
    return going('NewReplicaSetAvailable', `ReplicaSet "${newest}" has successfully progressed.`, false);
  }
  const { status = {} } = deployment;
  const wasComplete = before?.reason === 'NewReplicaSetAvailable';
  // A pod lost after the rollout is not a rollout; but pods of what was rolled out while there were none to be are.
  if (wasComplete && status.completeReplicaSet === newest) return undefined;
  const wasOther =
    wasComplete || status.rollback?.reason === deadlineExceeded || before?.reason === configurationMissing;
  if (!before || before.reason === 'DeploymentPaused' || wasOther || hasMoved(status, counts)) {
    return going('ReplicaSetUpdated', `ReplicaSet "${newest}" is progressing.`, true);
  }
  if (msUntilDeadline(deployment, before, nowMs) > 0) return undefined;
  const obstacle = rollout.obstacle();
  const why = obstacle === undefined ? '' : `: ${obstacle}`;
  const end = rollout.noWayBack ? `; ${rollout.noWayBack}` : '';
  return stuck(`ReplicaSet "${newest}" has timed out progressing${why}${end}`);
}

/** What is to run cannot be made yet. */
function waiting(
  deployment: Deployment,
  waitsFor: string,
  before: Condition | undefined,
  nowMs: number,
): Progress | undefined {
  const isSame = before?.message?.includes(waitsFor) === true;
  if (!isSame) return going(configurationMissing, waitsFor, true);
  if (before.status === 'False' || msUntilDeadline(deployment, before, nowMs) > 0) return undefined;
  return stuck(`Deployment "${deployment.metadata.name}" has timed out progressing: ${waitsFor}`);
}

function hasMoved(before: DeploymentStatus, counts: Counts): boolean {
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = before;
  return (
    counts.updated > updatedReplicas ||
    counts.replicas - counts.updated < replicas - updatedReplicas ||
    counts.ready > readyReplicas ||
    counts.available > availableReplicas
  );
}

/** Since the rollout last moved, as the condition tells it. */
export function msUntilDeadline({ spec }: Deployment, condition: Condition, nowMs: number): number {
  const seconds = spec.progressDeadlineSeconds ?? defaultProgressDeadlineSeconds;
  const movedMs = Date.parse(condition.lastUpdateTime ?? condition.lastTransitionTime ?? '') || nowMs;
  return movedMs + seconds * 1000 - nowMs;
}

/** When to look again for want of progress; undefined when no rollout is under way. */
export function deadlineAfterMs(
  deployment: Deployment,
  conditions: readonly Condition[],
  nowMs: number,
): number | undefined {
  const progressing = findCondition(conditions, 'Progressing');
  const rolledBack = findCondition(conditions, 'RolledBack');
  const isUnderWay = progressing?.status === 'True' && progressing.reason !== 'NewReplicaSetAvailable';
  const open = isUnderWay ? progressing : rolledBack?.reason === 'RollingBack' ? rolledBack : undefined;
  return open && Math.max(0, msUntilDeadline(deployment, open, nowMs)) + 1;
}

/** lastUpdateTime is when the condition last said something new, or the rollout last moved. */
export function upsert(
  conditions: readonly Condition[],
  wanted: Condition,
  moved: boolean,
  nowMs: number,
): Condition[] {
  const before = findCondition(conditions, wanted.type);
  const same = before?.status === wanted.status && before.reason === wanted.reason && before.message === wanted.message;
  const lastUpdateTime = same && !moved && before.lastUpdateTime ? before.lastUpdateTime : timestamp(nowMs);
  return setCondition(conditions, { ...wanted, lastUpdateTime }, nowMs);
}
