/**
 * HorizontalPodAutoscaler: sets spec.replicas of a workload by what its pods use.
 *
 * - Writes: its own `status`, and `spec.replicas` of its target, both in one transaction.
 * - Figures come from the agents and live in memory; so do recent recommendations and scalings, which are the argument
 *   `memory` and part of the answer. A new leader begins with the current size as its only recommendation: it does not
 *   shrink a workload before a whole stabilization window has passed.
 * - Two autoscalers that can reach the same pods do nothing, either of them: each would undo the other's work.
 */

import { timestamp } from '../../../lib/clock.ts';
import type { Scalable } from '../../../lib/model/autoscaling.ts';
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import type { Condition, HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus } from '../../../proto/gen/types.ts';
import { targetOf } from '../../metrics/autoscaled.ts';
import type { UsageOf } from '../../metrics/pod-usage.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { isNamespaceOpen } from '../owned.ts';
import { examine, type Finding, lost } from './finding.ts';
import { isWritten, type Memory, remembered } from './memory.ts';

export const syncPeriodMs = 15_000;
/** While there are no figures yet. */
export const retryPeriodMs = 5_000;

export interface Outcome {
  readonly result: ReconcileResult;
  readonly memory: Memory | undefined;
}

type Events = NonNullable<ReconcileResult['events']>;

export function reconcileAutoscaler(
  snapshot: Snapshot,
  autoscaler: HorizontalPodAutoscaler,
  usageOf: UsageOf,
  before: Memory | undefined,
  nowMs: number,
): Outcome {
  if (isDeleting(autoscaler) || !isNamespaceOpen(snapshot, autoscaler.metadata.namespace)) {
    return { result: { changes: [] }, memory: undefined };
  }
  const memory = remembered(autoscaler, before, nowMs);
  const waitMs = memory.nextAtMs - nowMs;
  if (waitMs > 0 && waitMs <= syncPeriodMs && isWritten(memory, autoscaler)) {
    return { result: { changes: [], requeueAfterMs: waitMs }, memory };
  }
  const target = targetOf(snapshot, autoscaler);
  const finding =
    target && !isDeleting(target) ? examine(snapshot, autoscaler, target, usageOf, memory, nowMs) : lost(autoscaler);
  return conclude(autoscaler, target, finding, memory, nowMs);
}

function conclude(
  autoscaler: HorizontalPodAutoscaler,
  target: Scalable | undefined,
  { conditions, current, desired = current, metrics, recommended, why = '' }: Finding,
  memory: Memory,
  nowMs: number,
): Outcome {
  const changes: Change[] = [];
  const events: Events[number][] = [];
  const change = target && current !== undefined && desired !== undefined ? desired - current : 0;
  const all = [...conditions];
  if (target && desired !== undefined && change !== 0) {
    changes.push({ type: 'update', object: withReplicas(target, desired) });
    all.push({
      type: 'AbleToScale',
      status: 'True',
      reason: 'SucceededRescale',
      message: `the target was scaled to ${desired}`,
    });
    events.push({
      type: 'Normal',
      reason: 'SuccessfulRescale',
      message: `New size: ${desired}; reason: ${why}`,
      about: autoscaler,
    });
  }
  const known = autoscaler.status?.conditions;
  const trouble = all.find(({ type, status }) => status === 'False' && type !== 'ScalingLimited');
  if (trouble && findCondition(known, trouble.type)?.message !== trouble.message) {
    events.push({ type: 'Warning', reason: trouble.reason ?? '', message: trouble.message ?? '', about: autoscaler });
  }
  const lastScaleTime = change !== 0 ? timestamp(nowMs) : autoscaler.status?.lastScaleTime;
  const status: HorizontalPodAutoscalerStatus = {
    observedGeneration: autoscaler.metadata.generation ?? 1,
    ...(lastScaleTime !== undefined && { lastScaleTime }),
    ...(current !== undefined && { currentReplicas: current }),
    ...(desired !== undefined && { desiredReplicas: desired }),
    ...(metrics && metrics.length > 0 && { currentMetrics: [...metrics] }),
    conditions: all.reduce<Condition[]>((list, condition) => setCondition(list, condition, nowMs), known ?? []),
  };
  if (!isSame(status, autoscaler.status)) changes.push({ type: 'update', object: { ...autoscaler, status } });
  const waitMs = trouble?.reason === 'FailedGetResourceMetric' ? retryPeriodMs : syncPeriodMs;
  const first = current === undefined || memory.recommendations.length > 0 ? [] : [{ atMs: nowMs, replicas: current }];
  const latest = recommended === undefined ? [] : [{ atMs: nowMs, replicas: recommended }];
  return {
    result: { changes, events, requeueAfterMs: waitMs },
    memory: {
      ...memory,
      recommendations: [...memory.recommendations, ...first, ...latest],
      nextAtMs: nowMs + waitMs,
      wished: { status, change, atMs: nowMs },
    },
  };
}

/** Its owner's manifest says how many there are to begin with; from then on it is the autoscaler's. */
function withReplicas(target: Scalable, replicas: number): Scalable {
  const generation = (target.metadata.generation ?? 1) + 1;
  return { ...target, metadata: { ...target.metadata, generation }, spec: { ...target.spec, replicas } } as Scalable;
}
