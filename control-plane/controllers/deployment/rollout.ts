/** One look at a Deployment's rollout: what its status is made from. */
import type { Condition, Rollback } from '../../../proto/gen/types.ts';
import type { Bounds } from './rolling-update.ts';

export interface Counts {
  /** Active pods of all ReplicaSets. */
  readonly replicas: number;
  /** Of the newest ReplicaSet. */
  readonly updated: number;
  /** Of the template; other than `updated` while a former revision runs in its place. */
  readonly ofTemplate: number;
  readonly ready: number;
  readonly available: number;
  /** What the ReplicaSets should have in total. */
  readonly wanted: number;
}

export interface Rollout {
  readonly counts: Counts;
  readonly bounds: Bounds;
  /** Name of the ReplicaSet that all pods are to be of, when there is one. */
  readonly newest?: string;
  readonly revision: number;
  /** Set when this pass begins with another ReplicaSet. */
  readonly began?: 'created' | 'found';
  /** A sentence about what there must be before the rollout can begin. */
  readonly waitsFor?: string;
  /** A sentence from the pods about what is in the way. */
  readonly obstacle: () => string | undefined;
  /** Why the newest ReplicaSet cannot make its pods. */
  readonly replicaFailure?: Condition;
  /** A former revision runs in place of the template's. */
  readonly rollback?: Rollback;
  /** What is said when the deadline is missed and there is nothing to go back to. */
  readonly noWayBack?: string;
  readonly collisionCount: number;
}

export function isComplete({ counts, bounds }: Pick<Rollout, 'counts' | 'bounds'>): boolean {
  const { replicas } = bounds;
  return counts.updated === replicas && counts.replicas === replicas && counts.available === replicas;
}
