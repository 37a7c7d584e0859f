/**
 * Which pods a ReplicaSet gives up first, in Kubernetes' order: the least useful, then those that share a node with more
 * of their own, then the youngest.
 */
import { findCondition } from '../../../lib/model/conditions.ts';
import { isPodBound, isPodReady } from '../../../lib/model/pods.ts';
import type { Pod } from '../../../proto/gen/types.ts';

const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';

/** A sorting key; the greater goes first. */
type Rank = readonly (number | string)[];

/** All pods, the first to go first. Ties break by name, so that the answer does not depend on the order given. */
export function inDeletionOrder(pods: readonly Pod[]): Pod[] {
  const crowding = crowdingOf(pods);
  const ranked = pods.map((pod) => ({ pod, rank: [...usefulness(pod), crowding.get(pod) ?? 0, ...age(pod)] }));
  return ranked.sort((a, b) => compareRanks(b.rank, a.rank)).map(({ pod }) => pod);
}

function usefulness(pod: Pod): number[] {
  const cost = Number(pod.metadata.annotations?.[deletionCost] ?? 0);
  return [
    isPodBound(pod) ? 0 : 1,
    pod.status?.phase === 'Running' ? 0 : pod.status?.phase === 'Unknown' ? 1 : 2,
    isPodReady(pod) ? 0 : 1,
    Number.isFinite(cost) ? -cost : 0,
  ];
}

function age(pod: Pod): Rank {
  const readySince = isPodReady(pod) ? findCondition(pod.status?.conditions, 'Ready')?.lastTransitionTime : undefined;
  return [readySince ?? '', restartsOf(pod), pod.metadata.creationTimestamp ?? '', pod.metadata.name];
}

function restartsOf(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map(({ restartCount = 0 }) => restartCount));
}

/**
 * The best pod of each node ranks 0, the second best 1 and so on, so that what remains is spread evenly however many go.
 */
function crowdingOf(pods: readonly Pod[]): Map<Pod, number> {
  const byNode = new Map<string, { pod: Pod; rank: Rank }[]>();
  for (const pod of pods) {
    const node = pod.spec.nodeName ?? '';
    const group = byNode.get(node) ?? [];
    group.push({ pod, rank: [...usefulness(pod), ...age(pod)] });
    byNode.set(node, group);
  }
  const crowding = new Map<Pod, number>();
  for (const group of byNode.values()) {
    group.sort((a, b) => compareRanks(a.rank, b.rank));
    group.forEach(({ pod }, index) => {
      crowding.set(pod, index);
    });
  }
  return crowding;
}

function compareRanks(a: Rank, b: Rank): number {
  for (const [index, left] of a.entries()) {
    const right = b[index]!;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
