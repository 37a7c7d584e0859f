/** What a pod's status means to those who count pods. */
import type { Condition, Pod } from '../../proto/gen/types.ts';
import { findCondition } from './conditions.ts';
import { isDeleting } from './object.ts';

/** Reasons of the condition Ready while the node is lost, or has been deleted. */
export const nodeNotReady = 'NodeNotReady';
export const nodeDeleted = 'NodeDeleted';

/** Conditions are replaced when they change, never changed; a workload asks it of all its pods whenever one of them changes. */
const readyTimes = new WeakMap<readonly Condition[], number | undefined>();

/** Undefined while it is not ready. */
function readySinceMs({ status }: Pod): number | undefined {
  const { conditions } = status ?? {};
  if (!conditions) return undefined;
  if (!readyTimes.has(conditions)) readyTimes.set(conditions, timeOf(findCondition(conditions, 'Ready')));
  return readyTimes.get(conditions);
}

function timeOf(ready: Condition | undefined): number | undefined {
  if (ready?.status !== 'True') return undefined;
  return ready.lastTransitionTime === undefined ? 0 : Date.parse(ready.lastTransitionTime);
}

export function isPodReady(pod: Pod): boolean {
  return readySinceMs(pod) !== undefined;
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
