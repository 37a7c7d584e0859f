/** PodDisruptionBudgets: whom they cover, and what they allow now. Pure. */
import type { Pod, PodDisruptionBudget } from '../../proto/gen/types.ts';
import { matchesSelector } from './labels.ts';
import { isDeleting } from './object.ts';
import { isPodActive, isPodReady } from './pods.ts';

export function coversPod({ metadata, spec }: PodDisruptionBudget, pod: Pod): boolean {
  if (spec.selector === undefined || metadata.namespace !== pod.metadata.namespace) return false;
  return matchesSelector(spec.selector, pod.metadata.labels);
}

/** 0 until the controller has looked at the newest spec. */
export function disruptionsAllowed({ metadata, status }: PodDisruptionBudget): number {
  if (status?.observedGeneration !== (metadata.generation ?? 1)) return 0;
  return status.disruptionsAllowed ?? 0;
}

export type EvictionVerdict = 'free' | 'charge' | 'refuse';

/** Free: the pod counts for nothing that the budget protects. Charge: the budget allows one less from then on. */
export function evictionVerdict(budget: PodDisruptionBudget, pod: Pod): EvictionVerdict {
  if (isDeleting(pod) || !isPodActive(pod) || (pod.status?.phase ?? 'Pending') === 'Pending') return 'free';
  if (!isPodReady(pod)) {
    if (budget.spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return 'free';
    const { currentHealthy = 0, desiredHealthy = 0, observedGeneration } = budget.status ?? {};
    const isCurrent = observedGeneration === (budget.metadata.generation ?? 1);
    if (isCurrent && desiredHealthy > 0 && currentHealthy >= desiredHealthy) return 'free';
  }
  return disruptionsAllowed(budget) > 0 ? 'charge' : 'refuse';
}

/** After `count` of its pods were told to go. */
export function chargedBudget(budget: PodDisruptionBudget, count = 1): PodDisruptionBudget {
  const left = Math.max(0, (budget.status?.disruptionsAllowed ?? 0) - count);
  return { ...budget, status: { ...budget.status, disruptionsAllowed: left } };
}
