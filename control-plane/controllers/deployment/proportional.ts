/**
 * Scaling a Deployment while several of its ReplicaSets have pods: each grows or shrinks in proportion to its size, so
 * that a rollout in progress keeps its balance (as Kubernetes does).
 */
import type { Bounds } from './rolling-update.ts';

export interface Part {
  readonly wanted: number;
  /** The most pods the Deployment might have when this ReplicaSet was last sized. */
  readonly maxBefore: number;
}

/** New sizes in the order of `parts`, which is by age, oldest first. */
export function scaleInProportion(parts: readonly Part[], { replicas, maxSurge }: Bounds): number[] {
  const allowed = replicas > 0 ? replicas + maxSurge : 0;
  const difference = allowed - parts.reduce((total, { wanted }) => total + wanted, 0);
  const sizes = parts.map(({ wanted }) => wanted);
  let done = 0;
  const order = orderOfScaling(parts, difference);
  for (const index of order) {
    const step = stepOf(parts[index]!, allowed, difference - done);
    sizes[index]! += step;
    done += step;
  }
  const first = order[0];
  if (first !== undefined) sizes[first] = Math.max(0, sizes[first]! + difference - done); // what rounding left over
  return sizes;
}

/** The largest first; among equals the newest when growing, the oldest when shrinking. */
function orderOfScaling(parts: readonly Part[], difference: number): number[] {
  const indexes = parts.map((_, index) => index);
  return indexes.sort((a, b) => parts[b]!.wanted - parts[a]!.wanted || (difference > 0 ? b - a : a - b));
}

function stepOf({ wanted, maxBefore }: Part, allowed: number, left: number): number {
  if (left === 0) return 0;
  const share = allowed === 0 ? -wanted : Math.round((wanted * allowed) / Math.max(1, maxBefore)) - wanted;
  return left > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left));
}
