/** Taints that a node's condition asks for, and how long a pod bears a NoExecute taint. */
import { timestamp } from '../../../lib/clock.ts';
import { conditionStatus } from '../../../lib/model/conditions.ts';
import { fencingOf, outOfServiceTaint } from '../../../lib/model/fencing.ts';
import { isTolerated, tolerates } from '../../../lib/model/tolerations.ts';
import type { Node, Pod, Taint, Toleration } from '../../../proto/gen/types.ts';

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';
const ownKeys: readonly string[] = [notReadyTaint, unreachableTaint];

/**
 * What a pod without a toleration bears. A node that was lost is given up at once, its lease was the patience; one that
 * is in session and says that it is not well may be about to recover.
 */
const defaultSeconds: Readonly<Record<string, number>> = { [notReadyTaint]: 30 };

/** A `strict` pod is no nearer to its replacement for being given up: it stays, and may yet be well. */
function secondsWithout(pod: Pod, { key }: Taint): number | undefined {
  return key === unreachableTaint && fencingOf(pod) === 'strict' ? undefined : (defaultSeconds[key] ?? 0);
}

/** The agent's lease has expired: nobody knows what runs there. */
export function isLost(node: Node): boolean {
  return conditionStatus(node.status?.conditions, 'Ready') === 'Unknown';
}

/**
 * spec.taints with the lifecycle's own ones as the Ready condition asks, and with the time at which a client's NoExecute
 * taint was first seen, from which tolerationSeconds count. The same list when nothing changes.
 */
export function taintsFor(node: Node, nowMs: number): readonly Taint[] {
  const current = withTimes(node.spec.taints ?? [], nowMs);
  const ready = conditionStatus(node.status?.conditions, 'Ready');
  const key = ready === 'True' ? undefined : ready === 'False' ? notReadyTaint : unreachableTaint;
  const others = current.filter((taint) => !ownKeys.includes(taint.key));
  if (key === undefined) return others.length === current.length ? current : others;
  const effects = ['NoSchedule', 'NoExecute'] as const;
  const own = effects.map(
    (effect): Taint =>
      current.find((taint) => taint.key === key && taint.effect === effect) ?? {
        key,
        effect,
        timeAdded: timestamp(nowMs),
      },
  );
  const unchanged = own.every((taint) => current.includes(taint)) && others.length + own.length === current.length;
  return unchanged ? current : [...others, ...own];
}

function withTimes(taints: readonly Taint[], nowMs: number): readonly Taint[] {
  const isTimeless = ({ effect, timeAdded }: Taint): boolean => effect === 'NoExecute' && timeAdded === undefined;
  if (!taints.some(isTimeless)) return taints;
  return taints.map((taint) => (isTimeless(taint) ? { ...taint, timeAdded: timestamp(nowMs) } : taint));
}

/** Why and when a pod must leave its node. */
export interface Leaving {
  readonly taint: Taint;
  readonly atMs: number;
  /** What it bears of the taint: its own tolerationSeconds, or what a pod without a toleration does. */
  readonly seconds: number;
  readonly isTolerated: boolean;
}

/** Because of these taints; undefined when it may stay. */
export function leavingOf(pod: Pod, taints: readonly Taint[], nowMs: number): Leaving | undefined {
  let first: Leaving | undefined;
  for (const taint of taints) {
    if (taint.effect !== 'NoExecute') continue;
    const matching = (pod.spec.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
    const seconds = matching.length > 0 ? shortest(matching) : secondsWithout(pod, taint);
    if (seconds === undefined) continue;
    const atMs = (Date.parse(taint.timeAdded ?? '') || nowMs) + seconds * 1000;
    if (!first || atMs < first.atMs) first = { taint, atMs, seconds, isTolerated: matching.length > 0 };
  }
  return first;
}

export function leaveAtMs(pod: Pod, taints: readonly Taint[], nowMs: number): number | undefined {
  return leavingOf(pod, taints, nowMs)?.atMs;
}

/** Undefined: for ever. */
function shortest(tolerations: readonly Toleration[]): number | undefined {
  const limits = tolerations.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
  return limits.length > 0 ? Math.max(0, Math.min(...limits)) : undefined;
}

/** Whether a person's word that the node is out of service is meant for this pod too. */
export function bearsOutOfService(pod: Pod, taints: readonly Taint[]): boolean {
  const declared = taints.filter(({ key }) => key === outOfServiceTaint);
  return declared.every((taint) => isTolerated(taint, pod.spec.tolerations));
}
