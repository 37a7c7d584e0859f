/**
 * PodDisruptionBudget: counts the pods it covers and says how many more may go.
 *
 * - Writes: the budget's `status`, whole. Evictions lower `disruptionsAllowed` in their own transaction, which compares
 *   the budget's revision: a count made before an eviction can never overwrite it.
 */

import { setCondition } from '../../../lib/model/conditions.ts';
import { coversPod } from '../../../lib/model/disruption.ts';
import { controllerOf, isDeleting, isSame } from '../../../lib/model/object.ts';
import { isPodActive, isPodReady } from '../../../lib/model/pods.ts';
import type { KubeObject, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from '../../../proto/gen/types.ts';
import type { ReconcileResult, Snapshot } from '../../state/snapshot.ts';

export function reconcileBudget(snapshot: Snapshot, budget: PodDisruptionBudget, nowMs: number): ReconcileResult {
  if (isDeleting(budget)) return { changes: [] };
  const status = statusOf(snapshot, budget, nowMs);
  return { changes: isSame(status, budget.status) ? [] : [{ type: 'update', object: { ...budget, status } }] };
}

function statusOf(snapshot: Snapshot, budget: PodDisruptionBudget, nowMs: number): PodDisruptionBudgetStatus {
  const pods = snapshot.list('Pod', budget.metadata.namespace).filter((pod) => coversPod(budget, pod));
  const covered = pods.filter((pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed');
  const expectedPods = expectedOf(snapshot, covered);
  const currentHealthy = covered.filter((pod) => isPodActive(pod) && isPodReady(pod)).length;
  const desiredHealthy = desiredOf(budget, expectedPods);
  const disruptionsAllowed = expectedPods === 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const condition = {
    type: 'DisruptionAllowed',
    status: disruptionsAllowed > 0 ? ('True' as const) : ('False' as const),
    reason: disruptionsAllowed > 0 ? 'SufficientPods' : 'InsufficientPods',
  };
  return {
    observedGeneration: budget.metadata.generation ?? 1,
    disruptionsAllowed,
    currentHealthy,
    desiredHealthy,
    expectedPods,
    conditions: setCondition(budget.status?.conditions, condition, nowMs),
  };
}

function desiredOf({ spec }: PodDisruptionBudget, expected: number): number {
  if (spec.maxUnavailable !== undefined) return Math.max(0, expected - amount(spec.maxUnavailable, expected));
  return amount(spec.minAvailable ?? '0', expected);
}

/** Parts are rounded up. */
function amount(text: string, whole: number): number {
  return text.endsWith('%') ? Math.ceil((Number(text.slice(0, -1)) * whole) / 100) : Number(text);
}

/** What the topmost workloads of the pods want; so that a budget does not shrink with the pods that are missing. */
function expectedOf(snapshot: Snapshot, pods: readonly Pod[]): number {
  const wantedByOwner = new Map<string, number>();
  let alone = 0;
  for (const pod of pods) {
    const owner = workloadAbove(snapshot, pod);
    const replicas = owner && replicasOf(owner);
    if (owner && replicas !== undefined) wantedByOwner.set(owner.metadata.uid ?? '', replicas);
    else if (!isDeleting(pod)) alone += 1;
  }
  return [...wantedByOwner.values()].reduce((sum, count) => sum + count, alone);
}

function workloadAbove(snapshot: Snapshot, object: KubeObject): KubeObject | undefined {
  const reference = controllerOf(object);
  const owner = reference && snapshot.byUID(reference.uid);
  return owner && (workloadAbove(snapshot, owner) ?? owner);
}

/** Of any kind that has them. */
function replicasOf(owner: KubeObject): number | undefined {
  const { spec } = owner as { spec?: { replicas?: number; template?: unknown } };
  if (owner.kind === 'Deployment' || owner.kind === 'ReplicaSet') return spec?.replicas ?? 1;
  return spec?.replicas;
}
