/** What a pod's status means to those who count pods. */
import type { Pod } from '../../proto/gen/types.ts';
import { findCondition } from './conditions.ts';
import { isDeleting } from './object.ts';

/** Reasons of the condition Ready while the node is lost, or has been deleted. */
export const nodeNotReady = 'NodeNotReady';
export const nodeDeleted = 'NodeDeleted';

/** Undefined while it is not ready. */
function readySinceMs({ status }: Pod): number | undefined {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status !== 'True') return undefined;
  return ready.lastTransitionTime === undefined ? 0 : timeOf(ready.lastTransitionTime);
}

/** Thousands of pods became ready in the same second, and a workload asks of all of its own whenever one of them changes. */
const times = new Map<string, number>();
const mostTimes = 10_000;

function timeOf(text: string): number {
  let time = times.get(text);
  if (time === undefined) {
    time = Date.parse(text);
    if (times.size >= mostTimes) times.clear();
    times.set(text, time);
  }
  return time;
}

export function isPodReady(pod: Pod): boolean {
  return findCondition(pod.status?.conditions, 'Ready')?.status === 'True';
}

/** Readiness that the control plane took: nobody knows whether its containers, which were well, still are. */
export function isReadyTaken({ status }: Pod): boolean {
  const ready = findCondition(status?.conditions, 'Ready');
  return ready?.status === 'False' && (ready.reason === nodeNotReady || ready.reason === nodeDeleted);
}

/** Ran to its end and will not run again. */
export function isPodFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Counts for its owner: neither finished nor on its way out. */
export function isPodActive(pod: Pod): boolean {
  return !isPodFinished(pod) && !isDeleting(pod);
}

export function isPodBound(pod: Pod): boolean {
  return pod.spec.nodeName !== undefined && pod.spec.nodeName !== '';
}

/** When a ready pod counts as available (ready for `minReadySeconds`); undefined while it is not ready. */
export function availableAtMs(pod: Pod, minReadySeconds = 0): number | undefined {
  const sinceMs = readySinceMs(pod);
  return sinceMs === undefined ? undefined : sinceMs + minReadySeconds * 1000;
}

export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  if (minReadySeconds === 0) return isPodReady(pod); // another machine's clock must not delay a ready pod
  const atMs = availableAtMs(pod, minReadySeconds);
  return atMs !== undefined && atMs <= nowMs;
}
