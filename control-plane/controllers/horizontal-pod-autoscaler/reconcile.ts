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
import { rulesOf, type Scalable, targetName } from '../../../lib/model/autoscaling.ts';
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import { matchesSelector } from '../../../lib/model/labels.ts';
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { parseQuantity } from '../../../lib/model/quantity.ts';
import type {
  Condition,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerStatus,
  MetricStatus,
  Pod,
} from '../../../proto/gen/types.ts';
import { podsOfTarget, targetOf } from '../../metrics/autoscaled.ts';
import type { UsageOf } from '../../metrics/pod-usage.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { isNamespaceOpen } from '../owned.ts';
import { decide, type History, type Limits } from './behavior.ts';
import { type Proposal, proposeReplicas } from './proposal.ts';

export const syncPeriodMs = 15_000;
/** While there are no figures yet. */
export const retryPeriodMs = 5_000;
const defaultTolerance = 0.1;
/** The longest period of a policy, and the longest window. */
const longestMemoryMs = 3_600_000;

/** Of one autoscaler, between two looks at it. */
export interface Memory extends History {
  readonly uid: string;
  readonly generation: number | undefined;
  readonly nextAtMs: number;
  /** What was to be written last. */
  readonly wished?: { readonly status: HorizontalPodAutoscalerStatus; readonly change: number; readonly atMs: number };
}

export interface Outcome {
  readonly result: ReconcileResult;
  readonly memory: Memory | undefined;
}

type Events = NonNullable<ReconcileResult['events']>;

/** What one look found. */
interface Finding {
  readonly conditions: readonly Omit<Condition, 'lastTransitionTime'>[];
  readonly current?: number;
  readonly desired?: number;
  readonly metrics?: readonly MetricStatus[];
  readonly recommended?: number;
  /** For the event of a change. */
  readonly why?: string;
}

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

/** Memory of this very object, with the last scaling in it if that was written. */
function remembered(autoscaler: HorizontalPodAutoscaler, before: Memory | undefined, nowMs: number): Memory {
  const { uid = '', generation } = autoscaler.metadata;
  if (before?.uid !== uid) return { uid, generation, nextAtMs: nowMs, recommendations: [], scalings: [] };
  const { wished } = before;
  const landed = wished && wished.change !== 0 && isWritten(before, autoscaler);
  const scalings = landed ? [...before.scalings, { atMs: wished.atMs, change: wished.change }] : before.scalings;
  const recent = ({ atMs }: { readonly atMs: number }): boolean => nowMs - atMs < longestMemoryMs;
  return {
    ...before,
    generation,
    scalings: scalings.filter(recent),
    recommendations: before.recommendations.filter(recent),
    nextAtMs: before.generation === generation ? before.nextAtMs : nowMs,
    ...(landed && { wished: { ...wished, change: 0 } }),
  };
}

function isWritten({ wished }: Memory, { status }: HorizontalPodAutoscaler): boolean {
  return wished !== undefined && isSame(status, wished.status);
}

function lost(autoscaler: HorizontalPodAutoscaler): Finding {
  const message = `${targetName(autoscaler.spec.scaleTargetRef)} does not exist; create it, or correct spec.scaleTargetRef`;
  return { conditions: [{ type: 'AbleToScale', status: 'False', reason: 'FailedGetScale', message }] };
}

const gotScale = {
  type: 'AbleToScale',
  status: 'True',
  reason: 'SucceededGetScale',
  message: "the target's current scale was read",
} as const;

function examine(
  snapshot: Snapshot,
  autoscaler: HorizontalPodAutoscaler,
  target: Scalable,
  usageOf: UsageOf,
  memory: Memory,
  nowMs: number,
): Finding {
  const current = target.spec.replicas ?? 1;
  const { minReplicas = 1, maxReplicas } = autoscaler.spec;
  const pods = podsOfTarget(snapshot, target);
  const rivals = rivalsOf(snapshot, autoscaler, target, pods);
  if (rivals.length > 0)
    return {
      current,
      conditions: [gotScale, inactive('AmbiguousSelector', ambiguous(target, [autoscaler, ...rivals]))],
    };
  if (current === 0) {
    const message = 'the target has 0 replicas; give it at least one to scale it automatically again';
    return { current, conditions: [gotScale, inactive('ScalingDisabled', message)] };
  }
  if (current > maxReplicas) {
    return {
      current,
      desired: maxReplicas,
      conditions: [gotScale],
      why: 'current number of replicas above spec.maxReplicas',
    };
  }
  if (current < minReplicas) {
    return {
      current,
      desired: minReplicas,
      conditions: [gotScale],
      why: 'current number of replicas below spec.minReplicas',
    };
  }
  return measure(autoscaler, target, pods, usageOf, memory, nowMs);
}

function measure(
  autoscaler: HorizontalPodAutoscaler,
  target: Scalable,
  pods: readonly Pod[],
  usageOf: UsageOf,
  memory: Memory,
  nowMs: number,
): Finding {
  const current = target.spec.replicas ?? 1;
  const limits = limitsOf(autoscaler);
  const tolerance = { above: toleranceOf(limits.scaleUp), below: toleranceOf(limits.scaleDown) };
  const metrics: MetricStatus[] = [];
  const failures: string[] = [];
  let wanted = 0;
  let winner = '';
  for (const { resource: metric } of autoscaler.spec.metrics ?? []) {
    if (!metric) continue;
    const usage = (pod: Pod) => usageOf(pod.metadata.uid ?? '', nowMs);
    const answer = proposeReplicas({
      metric,
      target,
      pods,
      currentReplicas: current,
      usageOf: usage,
      tolerance,
      nowMs,
    });
    if ('failure' in answer) {
      failures.push(answer.failure);
      continue;
    }
    metrics.push(statusOf(metric.name, answer));
    if (answer.replicas > wanted) {
      wanted = answer.replicas;
      winner =
        metric.target.type === 'Utilization'
          ? `${metric.name} resource utilization (percentage of request)`
          : `${metric.name} resource`;
    }
  }
  const [failure] = failures;
  // With a metric unknown the others may only ask for more.
  if (failure !== undefined && (metrics.length === 0 || wanted < current)) {
    const message = `the HPA was unable to compute the replica count: ${failure}`;
    return { current, metrics, conditions: [gotScale, inactive('FailedGetResourceMetric', message)] };
  }
  const recommendations =
    memory.recommendations.length > 0 ? memory.recommendations : [{ atMs: nowMs, replicas: current }];
  const decision = decide(current, wanted, limits, { ...memory, recommendations }, nowMs);
  const valid = `a replica count was calculated from ${winner || 'its metrics'}`;
  return {
    current,
    desired: decision.replicas,
    recommended: wanted,
    metrics,
    conditions: [
      { type: 'AbleToScale', status: 'True', ...decision.able },
      { type: 'ScalingActive', status: 'True', reason: 'ValidMetricFound', message: valid },
      { type: 'ScalingLimited', ...decision.limited },
    ],
    why: decision.replicas > current ? `${winner} above target` : 'All metrics below target',
  };
}

function inactive(reason: string, message: string): Omit<Condition, 'lastTransitionTime'> {
  return { type: 'ScalingActive', status: 'False', reason, message };
}

function limitsOf(autoscaler: HorizontalPodAutoscaler): Limits {
  const { minReplicas = 1, maxReplicas } = autoscaler.spec;
  return {
    minReplicas,
    maxReplicas,
    scaleUp: rulesOf(autoscaler, 'scaleUp'),
    scaleDown: rulesOf(autoscaler, 'scaleDown'),
  };
}

function toleranceOf({ tolerance }: { readonly tolerance?: string }): number {
  return tolerance === undefined ? defaultTolerance : (parseQuantity(tolerance) ?? defaultTolerance);
}

function statusOf(name: string, { averageValue, averageUtilization }: Proposal): MetricStatus {
  const current = {
    averageValue: name === 'cpu' ? `${averageValue}m` : String(averageValue),
    ...(averageUtilization !== undefined && { averageUtilization }),
  };
  return { type: 'Resource', resource: { name, current } };
}

/** Other autoscalers of the same workload, or of one whose selector finds these pods too. */
function rivalsOf(
  snapshot: Snapshot,
  autoscaler: HorizontalPodAutoscaler,
  target: Scalable,
  pods: readonly Pod[],
): readonly HorizontalPodAutoscaler[] {
  return snapshot.list('HorizontalPodAutoscaler', autoscaler.metadata.namespace).filter((other) => {
    if (other.metadata.name === autoscaler.metadata.name || isDeleting(other)) return false;
    const rival = targetOf(snapshot, other);
    if (!rival) return false;
    if (rival.metadata.uid === target.metadata.uid) return true;
    return pods.some(({ metadata }) => matchesSelector(rival.spec.selector, metadata.labels));
  });
}

function ambiguous(target: Scalable, all: readonly HorizontalPodAutoscaler[]): string {
  const names = all.map(({ metadata }) => metadata.name).sort();
  return `the pods of ${target.kind} ${target.metadata.name} are controlled by multiple HPAs: ${names.join(', ')}; keep one of them`;
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
