/** What a pod's status means to those who count pods. */
import type { Pod } from '../../proto/gen/types.ts';
import { findCondition } from './conditions.ts';
import { isDeleting } from './object.ts';

export function isPodReady(pod: Pod): boolean {
  return findCondition(pod.status?.conditions, 'Ready')?.status === 'True';
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
  const ready = findCondition(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True') return undefined;
  const sinceMs = ready.lastTransitionTime === undefined ? 0 : Date.parse(ready.lastTransitionTime);
  return sinceMs + minReadySeconds * 1000;
}

export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  if (minReadySeconds === 0) return isPodReady(pod); // another machine's clock must not delay a ready pod
  const atMs = availableAtMs(pod, minReadySeconds);
  return atMs !== undefined && atMs <= nowMs;
}
