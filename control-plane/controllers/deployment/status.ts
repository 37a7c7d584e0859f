/** A Deployment's status: counts, and what its conditions tell (progress.ts, rolled-back.ts). */
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import type { Condition, Deployment, DeploymentStatus } from '../../../proto/gen/types.ts';
import { setProgressing, upsert } from './progress.ts';
import { setRolledBack } from './rolled-back.ts';
import { isComplete, type Rollout } from './rollout.ts';

export function statusOf(deployment: Deployment, rollout: Rollout, nowMs: number): DeploymentStatus {
  const { counts, collisionCount, rollback, newest, bounds, waitsFor } = rollout;
  const isGood = isComplete(rollout) && bounds.replicas > 0 && waitsFor === undefined;
  const completeReplicaSet = isGood ? newest : deployment.status?.completeReplicaSet;
  return {
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas: counts.replicas,
    updatedReplicas: counts.ofTemplate,
    readyReplicas: counts.ready,
    availableReplicas: counts.available,
    unavailableReplicas: Math.max(0, counts.wanted - counts.available),
    conditions: conditionsOf(deployment, rollout, nowMs),
    ...(collisionCount > 0 && { collisionCount }),
    ...(completeReplicaSet !== undefined && { completeReplicaSet }),
    ...(rollback && { rollback }),
  };
}

function conditionsOf(deployment: Deployment, rollout: Rollout, nowMs: number): Condition[] {
  const available = setAvailable(deployment, rollout, nowMs);
  const failing = setReplicaFailure(available, rollout, nowMs);
  const progressing = setProgressing(deployment, rollout, failing, nowMs);
  return setRolledBack(deployment, rollout, progressing, nowMs);
}

function setAvailable(deployment: Deployment, { counts, bounds }: Rollout, nowMs: number): Condition[] {
  const enough = counts.available >= bounds.replicas - bounds.maxUnavailable;
  const wanted: Condition = {
    type: 'Available',
    status: enough ? 'True' : 'False',
    reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: enough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
  };
  return upsert(deployment.status?.conditions ?? [], wanted, false, nowMs);
}

/** As the ReplicaSet says it; there only while it holds. */
function setReplicaFailure(conditions: Condition[], { replicaFailure }: Rollout, nowMs: number): Condition[] {
  if (!replicaFailure) return conditions.filter(({ type }) => type !== 'ReplicaFailure');
  const { reason, message } = replicaFailure;
  const wanted = {
    type: 'ReplicaFailure',
    status: 'True' as const,
    ...(reason && { reason }),
    ...(message && { message }),
  };
  const before = findCondition(conditions, 'ReplicaFailure');
  const isSaid = before?.reason === reason && before?.message === message;
  return isSaid ? conditions : setCondition(conditions, wanted, nowMs);
}
