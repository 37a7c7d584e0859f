/**
 * How many replicas one metric asks for. Pure.
 *
 * Source: Kubernetes' documentation of horizontal pod autoscaling, "Algorithm details": desired = ceil(current x use /
 * target); no change within the tolerance; pods whose figures are missing are taken to use all that they should when the
 * workload would shrink and nothing when it would grow, pods that are not ready yet nothing when it would grow; and if
 * that turns the direction round, nothing changes.
 */
import { requestCure, requestOf, type Scalable } from '../../../lib/model/autoscaling.ts';
import { findCondition } from '../../../lib/model/conditions.ts';
import { isPodActive } from '../../../lib/model/pods.ts';
import { cpuMillis, wholeUnits } from '../../../lib/model/quantity.ts';
import type { Pod, ResourceMetricSource } from '../../../proto/gen/types.ts';
import type { PodUsage } from '../../metrics/pod-usage.ts';

/** A pod that has just started uses cpu in a way that says nothing. */
const cpuInitializationMs = 5 * 60_000;
/** A pod that is not ready longer than this after its start has been ready before. */
const initialReadinessMs = 30_000;

export interface Question {
  readonly metric: ResourceMetricSource;
  readonly target: Scalable;
  readonly pods: readonly Pod[];
  readonly currentReplicas: number;
  readonly usageOf: (pod: Pod) => PodUsage | undefined;
  /** How far use may be above or below the target, as a part of it. */
  readonly tolerance: { readonly above: number; readonly below: number };
  readonly nowMs: number;
}

export interface Proposal {
  readonly replicas: number;
  /** Millis of cpu or bytes, for each pod with a figure. */
  readonly averageValue: number;
  /** Percent of the requests; with a target of utilization only. */
  readonly averageUtilization?: number;
}

export type Answer = Proposal | { readonly failure: string };

export function proposeReplicas(question: Question): Answer {
  const { metric, pods } = question;
  const what =
    metric.target.type === 'Utilization' ? `${metric.name} utilization` : `${metric.name} resource metric value`;
  if (pods.length === 0)
    return {
      failure: `failed to get ${what}: ${question.target.kind} ${question.target.metadata.name} has no pods yet`,
    };
  const requests = metric.target.type === 'Utilization' ? requestsOf(question) : undefined;
  if (typeof requests === 'string') return { failure: `failed to get ${what}: ${requests}` };
  const groups = groupPods(question);
  if (groups.used.size === 0) {
    const reason =
      'no figures from any of its pods yet: they are not ready, or have just started, or their nodes are silent';
    return { failure: `failed to get ${what}: ${reason}` };
  }
  const scale: Scale = requests
    ? { ratio: utilizationRatio(requests, metric.target.averageUtilization ?? 1), full: fullUse(requests, metric) }
    : plainScale(metric);
  return { ...figuresOf(groups.used, requests), replicas: replicasFor(groups, scale, question) };
}

interface Scale {
  /** Use in relation to the target. */
  ratio(used: ReadonlyMap<Pod, number>): number;
  /** What a pod uses that uses all it should. */
  full(pod: Pod): number;
}

function replicasFor(
  { used, ready, unready, missing }: Groups,
  scale: Scale,
  { currentReplicas, tolerance }: Question,
): number {
  const isWithin = (ratio: number): boolean => ratio <= 1 + tolerance.above && ratio >= 1 - tolerance.below;
  const first = scale.ratio(used);
  const growsBesideUnready = unready.length > 0 && first > 1;
  if (!growsBesideUnready && missing.length === 0) return isWithin(first) ? currentReplicas : Math.ceil(first * ready);

  const assumed = new Map(used);
  if (first !== 1) for (const pod of missing) assumed.set(pod, first < 1 ? scale.full(pod) : 0);
  if (growsBesideUnready) for (const pod of unready) assumed.set(pod, 0);
  const ratio = scale.ratio(assumed);
  const turned = (first < 1 && ratio > 1) || (first > 1 && ratio < 1);
  if (isWithin(ratio) || turned) return currentReplicas;
  const replicas = Math.ceil(ratio * assumed.size);
  const wrongWay = (ratio < 1 && replicas > currentReplicas) || (ratio > 1 && replicas < currentReplicas);
  return wrongWay ? currentReplicas : replicas;
}

interface Groups {
  readonly used: ReadonlyMap<Pod, number>;
  readonly ready: number;
  readonly unready: readonly Pod[];
  readonly missing: readonly Pod[];
}

function groupPods({ metric, pods, usageOf, nowMs }: Question): Groups {
  const used = new Map<Pod, number>();
  const unready: Pod[] = [];
  const missing: Pod[] = [];
  for (const pod of pods) {
    const phase = pod.status?.phase ?? 'Pending';
    if (!isPodActive(pod)) continue;
    const usage = usageOf(pod);
    if (phase === 'Pending') unready.push(pod);
    else if (!usage) missing.push(pod);
    else if (metric.name === 'cpu' && !isCPUMeaningful(pod, usage, nowMs)) unready.push(pod);
    else used.set(pod, metric.name === 'cpu' ? usage.cpuMillis : usage.memoryBytes);
  }
  return { used, ready: used.size, unready, missing };
}

/** Not while the pod starts: until a whole window has been measured since it became ready. */
function isCPUMeaningful({ status }: Pod, usage: PodUsage, nowMs: number): boolean {
  const ready = findCondition(status?.conditions, 'Ready');
  if (!ready || status?.startTime === undefined) return false;
  const startedMs = Date.parse(status.startTime);
  const changedMs = Date.parse(ready.lastTransitionTime ?? status.startTime);
  if (nowMs < startedMs + cpuInitializationMs) {
    return ready.status === 'True' && usage.atMs >= changedMs + usage.windowMs;
  }
  return ready.status !== 'False' || changedMs > startedMs + initialReadinessMs;
}

/** By pod; a sentence when a container requests nothing. */
function requestsOf({ metric: { name: resource }, pods, target }: Question): ReadonlyMap<Pod, number> | string {
  const requests = new Map<Pod, number>();
  for (const pod of pods.filter(isPodActive)) {
    let total = 0;
    for (const { name, resources } of pod.spec.containers) {
      const request = requestOf(resources, resource);
      if (request === undefined) {
        const where = `container ${name} of pod ${pod.metadata.name}`;
        return `missing request for ${resource} in ${where}; ${requestCure(target, name, resource)}`;
      }
      total += resource === 'cpu' ? cpuMillis(request) : wholeUnits(request);
    }
    requests.set(pod, total);
  }
  return requests;
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/** Whole percents, of the pods that have figures. */
function utilizationOf(used: ReadonlyMap<Pod, number>, requests: ReadonlyMap<Pod, number>): number {
  let requested = 0;
  for (const pod of used.keys()) requested += requests.get(pod) ?? 0;
  return requested === 0 ? 0 : Math.floor((sumOf(used.values()) * 100) / requested);
}

function utilizationRatio(requests: ReadonlyMap<Pod, number>, target: number): Scale['ratio'] {
  return (used) => utilizationOf(used, requests) / target;
}

function fullUse(requests: ReadonlyMap<Pod, number>, { target }: ResourceMetricSource): Scale['full'] {
  const percent = Math.max(100, target.averageUtilization ?? 0);
  return (pod) => ((requests.get(pod) ?? 0) * percent) / 100;
}

function plainScale({ name, target }: ResourceMetricSource): Scale {
  const wanted = name === 'cpu' ? cpuMillis(target.averageValue ?? '1') : wholeUnits(target.averageValue ?? '1');
  return { ratio: (used) => averageOf(used) / wanted, full: () => wanted };
}

function averageOf(used: ReadonlyMap<Pod, number>): number {
  return Math.floor(sumOf(used.values()) / used.size);
}

function figuresOf(
  used: ReadonlyMap<Pod, number>,
  requests: ReadonlyMap<Pod, number> | undefined,
): Omit<Proposal, 'replicas'> {
  return { averageValue: averageOf(used), ...(requests && { averageUtilization: utilizationOf(used, requests) }) };
}
