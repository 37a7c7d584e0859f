/** One look at a workload: what its pods use, and how many there should be. Pure. */
import { rulesOf, type Scalable, targetName } from '../../../lib/model/autoscaling.ts';
import { matchesSelector } from '../../../lib/model/labels.ts';
import { isDeleting } from '../../../lib/model/object.ts';
import { parseQuantity } from '../../../lib/model/quantity.ts';
import type { Condition, HorizontalPodAutoscaler, MetricStatus, Pod } from '../../../proto/gen/types.ts';
import { podsOfTarget, targetOf } from '../../metrics/autoscaled.ts';
import type { UsageOf } from '../../metrics/pod-usage.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import { decide, type Limits } from './behavior.ts';
import type { Memory } from './memory.ts';
import { type Proposal, proposeReplicas } from './proposal.ts';

const defaultTolerance = 0.1;

/** What one look found. */
export interface Finding {
  readonly conditions: readonly Omit<Condition, 'lastTransitionTime'>[];
  readonly current?: number;
  readonly desired?: number;
  readonly metrics?: readonly MetricStatus[];
  readonly recommended?: number;
  /** For the event of a change. */
  readonly why?: string;
}

export function lost(autoscaler: HorizontalPodAutoscaler): Finding {
  const message = `${targetName(autoscaler.spec.scaleTargetRef)} does not exist; create it, or correct spec.scaleTargetRef`;
  return { conditions: [{ type: 'AbleToScale', status: 'False', reason: 'FailedGetScale', message }] };
}

const gotScale = {
  type: 'AbleToScale',
  status: 'True',
  reason: 'SucceededGetScale',
  message: "the target's current scale was read",
} as const;

export function examine(
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
