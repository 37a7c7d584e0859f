/**
 * The arithmetic of a rollout: how large each ReplicaSet may be now. Numbers in, numbers out.
 *
 * Invariants, for a Deployment that is not being scaled
 * - never more than `replicas + maxSurge` active pods. What counts for a ReplicaSet is the greater of what it should have
 *   and what it has: a pod that is yet to be deleted is still there;
 * - the available pods that remain are never fewer than `replicas - maxUnavailable` because of us. What counts is the
 *   smaller of what is available and what may stay.
 */

export interface Size {
  /** spec.replicas. */
  readonly wanted: number;
  /** Active pods. */
  readonly active: number;
  /** Active pods that are available. */
  readonly available: number;
}

export interface Bounds {
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

export interface Sizes {
  readonly newest: number;
  /** In the order of `old`. */
  readonly old: readonly number[];
}

/** `old`: oldest first. */
export function rollingUpdate(newest: Size, old: readonly Size[], bounds: Bounds): Sizes {
  const remaining = [...old.map(({ wanted }) => wanted)];
  const minAvailable = bounds.replicas - bounds.maxUnavailable;
  const kept = (size: Size): number => Math.min(size.available, size.wanted);
  const newestAvailable = kept(newest);

  // Old pods that do not work may go even while we are short of available ones, as long as those that may yet become
  // available would do; then as many that do work as are not needed.
  let mayGo = sum(remaining) + newestAvailable - minAvailable;
  for (const [index, size] of old.entries()) {
    const unhealthy = Math.max(0, Math.min(size.wanted - kept(size), mayGo));
    remaining[index]! -= unhealthy;
    mayGo -= unhealthy;
  }
  let spare = newestAvailable + sum(old.map(kept)) - minAvailable;
  for (const [index] of old.entries()) {
    const down = Math.max(0, Math.min(remaining[index]!, spare));
    remaining[index]! -= down;
    spare -= down;
  }
  return { newest: newestSize(newest, old, bounds), old: remaining };
}

/** Room is what is left of the most there may be; pods of old ReplicaSets take room until they are being deleted. */
function newestSize(newest: Size, old: readonly Size[], { replicas, maxSurge }: Bounds): number {
  if (newest.wanted > replicas) return replicas;
  const present = sum([newest, ...old].map(({ wanted, active }) => Math.max(wanted, active)));
  const room = Math.max(0, replicas + maxSurge - present);
  return Math.min(replicas, newest.wanted + room);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
