/**
 * From what the metrics ask for to what is done: the stabilization windows, the rates and the bounds of
 * spec.behavior. Pure. Source: Kubernetes' documentation, "Configurable scaling behavior".
 */
import type { Rules } from '../../../lib/model/autoscaling.ts';

export interface Recommendation {
  readonly atMs: number;
  readonly replicas: number;
}

export interface ScaleEvent {
  readonly atMs: number;
  /** Below 0: fewer. */
  readonly change: number;
}

export interface History {
  readonly recommendations: readonly Recommendation[];
  readonly scalings: readonly ScaleEvent[];
}

export interface Limits {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly scaleUp: Rules;
  readonly scaleDown: Rules;
}

export interface Verdict {
  readonly reason: string;
  readonly message: string;
}

export interface Decision {
  readonly replicas: number;
  readonly able: Verdict;
  readonly limited: Verdict & { readonly status: 'True' | 'False' };
}

export function decide(current: number, wanted: number, limits: Limits, history: History, nowMs: number): Decision {
  const stable = stabilized(current, wanted, limits, history, nowMs);
  const bounded = bound(current, stable, limits, history.scalings, nowMs);
  return { replicas: bounded.replicas, able: ableTo(current, wanted, stable), limited: bounded.limited };
}

/** Not above the lowest recommendation of the window for growing, not below the highest of that for shrinking. */
function stabilized(
  current: number,
  wanted: number,
  { scaleUp, scaleDown }: Limits,
  history: History,
  nowMs: number,
): number {
  const within = ({ stabilizationWindowSeconds }: Rules): number[] => {
    const fromMs = nowMs - stabilizationWindowSeconds * 1000;
    return history.recommendations.filter(({ atMs }) => atMs > fromMs).map(({ replicas }) => replicas);
  };
  const lowest = Math.min(wanted, ...within(scaleUp));
  const highest = Math.max(wanted, ...within(scaleDown));
  return Math.min(Math.max(current, lowest), highest);
}

function ableTo(current: number, wanted: number, stable: number): Verdict {
  if (stable === wanted) return { reason: 'ReadyForNewScale', message: 'recommended size matches current size' };
  return wanted >= current
    ? { reason: 'ScaleUpStabilized', message: 'recent recommendations were lower: the lowest of them counts' }
    : { reason: 'ScaleDownStabilized', message: 'recent recommendations were higher: the highest of them counts' };
}

function bound(
  current: number,
  wanted: number,
  limits: Limits,
  scalings: readonly ScaleEvent[],
  nowMs: number,
): Pick<Decision, 'replicas' | 'limited'> {
  if (wanted > current) {
    const most = Math.max(current, highestBy(limits.scaleUp, current, scalings, nowMs));
    const byRate = most < limits.maxReplicas;
    const bounded = byRate ? most : limits.maxReplicas;
    if (wanted > bounded) return limitedTo(bounded, byRate ? tooFastUp : tooMany);
  } else if (wanted < current) {
    const least = Math.min(current, lowestBy(limits.scaleDown, current, scalings, nowMs));
    const byRate = least > limits.minReplicas;
    const bounded = byRate ? least : limits.minReplicas;
    if (wanted < bounded) return limitedTo(bounded, byRate ? tooFastDown : tooFew);
  }
  return { replicas: wanted, limited: { status: 'False', ...withinRange } };
}

const withinRange = { reason: 'DesiredWithinRange', message: 'the desired count is within the acceptable range' };
const tooFastUp = {
  reason: 'ScaleUpLimit',
  message: 'the desired count grows faster than the policies of scaleUp allow',
};
const tooFastDown = {
  reason: 'ScaleDownLimit',
  message: 'the desired count falls faster than the policies of scaleDown allow',
};
const tooMany = { reason: 'TooManyReplicas', message: 'the desired count is more than spec.maxReplicas' };
const tooFew = { reason: 'TooFewReplicas', message: 'the desired count is less than spec.minReplicas' };

function limitedTo(replicas: number, verdict: Verdict): Pick<Decision, 'replicas' | 'limited'> {
  return { replicas, limited: { status: 'True', ...verdict } };
}

function highestBy(rules: Rules, current: number, scalings: readonly ScaleEvent[], nowMs: number): number {
  const sizes = sizesBy(1, rules, current, scalings, nowMs);
  return rules.selectPolicy === 'Min' ? Math.min(...sizes) : Math.max(...sizes);
}

function lowestBy(rules: Rules, current: number, scalings: readonly ScaleEvent[], nowMs: number): number {
  const sizes = sizesBy(-1, rules, current, scalings, nowMs);
  return rules.selectPolicy === 'Min' ? Math.max(...sizes) : Math.min(...sizes);
}

/**
 * How far each policy lets the size go, from that at the begin of its period. A part of a pod counts as one, or few pods
 * could never grow nor shrink.
 */
function sizesBy(
  direction: 1 | -1,
  { selectPolicy, policies }: Rules,
  current: number,
  scalings: readonly ScaleEvent[],
  nowMs: number,
): readonly number[] {
  if (selectPolicy === 'Disabled') return [current];
  return policies.map(({ type, value, periodSeconds }) => {
    const before = current - changeSince(scalings, nowMs - periodSeconds * 1000);
    if (type === 'Pods') return before + direction * value;
    const size = (before * (100 + direction * value)) / 100;
    return direction === 1 ? Math.ceil(size) : Math.trunc(size);
  });
}

function changeSince(scalings: readonly ScaleEvent[], fromMs: number): number {
  return scalings.reduce((sum, { atMs, change }) => (atMs > fromMs ? sum + change : sum), 0);
}
