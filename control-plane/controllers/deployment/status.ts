/** A Deployment's status: counts, and the conditions Available and Progressing with Kubernetes' reasons. */
import { timestamp } from '../../../lib/clock.ts';
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import type { Condition, Deployment, DeploymentStatus } from '../../../proto/gen/types.ts';
import type { Bounds } from './rolling-update.ts';

export interface Counts {
  /** Active pods of all ReplicaSets. */
  readonly replicas: number;
  /** Of the newest template. */
  readonly updated: number;
  readonly ready: number;
  readonly available: number;
  /** What the ReplicaSets should have in total. */
  readonly wanted: number;
}

export interface Rollout {
  readonly counts: Counts;
  readonly bounds: Bounds;
  /** Name of the newest ReplicaSet, when there is one. */
  readonly newest?: string;
  /** Set when this pass begins with another ReplicaSet. */
  readonly began?: 'created' | 'found';
  /** A sentence from the pods about what is in the way. */
  readonly obstacle?: string;
  readonly collisionCount: number;
}

const defaultProgressDeadlineSeconds = 600;

export function statusOf(deployment: Deployment, rollout: Rollout, nowMs: number): DeploymentStatus {
  const { counts, collisionCount } = rollout;
  return {
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas: counts.replicas,
    updatedReplicas: counts.updated,
    readyReplicas: counts.ready,
    availableReplicas: counts.available,
    unavailableReplicas: Math.max(0, counts.wanted - counts.available),
    conditions: setProgressing(deployment, rollout, setAvailable(deployment, rollout, nowMs), nowMs),
    ...(collisionCount > 0 && { collisionCount }),
  };
}

export function isComplete({ counts, bounds }: Pick<Rollout, 'counts' | 'bounds'>): boolean {
  const { replicas } = bounds;
  return counts.updated === replicas && counts.replicas === replicas && counts.available === replicas;
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

function setProgressing(deployment: Deployment, rollout: Rollout, conditions: Condition[], nowMs: number): Condition[] {
  const before = findCondition(conditions, 'Progressing');
  const next = progress(deployment, rollout, before, nowMs);
  return next ? upsert(conditions, { type: 'Progressing', ...next.condition }, next.moved, nowMs) : conditions;
}

type Progress = { readonly condition: Omit<Condition, 'type'>; readonly moved: boolean };

/** Undefined: leave the condition as it is. */
function progress(
  deployment: Deployment,
  rollout: Rollout,
  before: Condition | undefined,
  nowMs: number,
): Progress | undefined {
  const { newest = '', began, counts } = rollout;
  if (deployment.spec.paused) {
    const message = 'Deployment is paused; resume it to roll out changes.';
    return { condition: { status: 'Unknown', reason: 'DeploymentPaused', message }, moved: false };
  }
  if (began) {
    const reason = began === 'created' ? 'NewReplicaSetCreated' : 'FoundNewReplicaSet';
    const message = began === 'created' ? `Created new replica set "${newest}"` : `Found new replica set "${newest}"`;
    return { condition: { status: 'True', reason, message }, moved: true };
  }
  if (isComplete(rollout)) {
    const message = `ReplicaSet "${newest}" has successfully progressed.`;
    return { condition: { status: 'True', reason: 'NewReplicaSetAvailable', message }, moved: false };
  }
  if (before?.reason === 'NewReplicaSetAvailable') return undefined; // a pod lost after the rollout is not a rollout
  if (!before || before.reason === 'DeploymentPaused' || hasMoved(deployment.status ?? {}, counts)) {
    const message = `ReplicaSet "${newest}" is progressing.`;
    return { condition: { status: 'True', reason: 'ReplicaSetUpdated', message }, moved: true };
  }
  if (msUntilDeadline(deployment, before, nowMs) > 0) return undefined;
  const why = rollout.obstacle ? `: ${rollout.obstacle}` : '';
  const message = `ReplicaSet "${newest}" has timed out progressing${why}`;
  return { condition: { status: 'False', reason: 'ProgressDeadlineExceeded', message }, moved: false };
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

function msUntilDeadline(deployment: Deployment, progressing: Condition, nowMs: number): number {
  const seconds = deployment.spec.progressDeadlineSeconds ?? defaultProgressDeadlineSeconds;
  const movedMs = Date.parse(progressing.lastUpdateTime ?? progressing.lastTransitionTime ?? '') || nowMs;
  return movedMs + seconds * 1000 - nowMs;
}

/** When to look again for want of progress; undefined when no rollout is under way. */
export function deadlineAfterMs(
  deployment: Deployment,
  conditions: readonly Condition[],
  nowMs: number,
): number | undefined {
  const progressing = findCondition(conditions, 'Progressing');
  if (progressing?.status !== 'True' || progressing.reason === 'NewReplicaSetAvailable') return undefined;
  return Math.max(0, msUntilDeadline(deployment, progressing, nowMs)) + 1;
}

/** lastUpdateTime is when the condition last said something new, or the rollout last moved. */
function upsert(conditions: readonly Condition[], wanted: Condition, moved: boolean, nowMs: number): Condition[] {
  const before = findCondition(conditions, wanted.type);
  const same = before?.status === wanted.status && before.reason === wanted.reason && before.message === wanted.message;
  const lastUpdateTime = same && !moved && before.lastUpdateTime ? before.lastUpdateTime : timestamp(nowMs);
  return setCondition(conditions, { ...wanted, lastUpdateTime }, nowMs);
}
