/** The pods of a rollout as they are followed, and which of them holds it up. */
import { findCondition } from '../lib/model/conditions.ts';
import { controllerOf } from '../lib/model/object.ts';
import { type Obstacle, tellingObstacle } from '../lib/model/obstacle.ts';
import type { KubeObject, Pod, ReplicaSet } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { listObjects } from './objects.ts';
import { selectorText } from './pod-choice.ts';
import type { RolloutObject } from './rollouts.ts';
import { type Change, watchObjects } from './watching.ts';

const revisionAnnotation = 'deployment.kubernetes.io/revision';

/** Of which its pods, and whose they are, can be told. */
export type FollowedKind = 'Pod' | 'ReplicaSet';

/** A Deployment's pods belong to its ReplicaSets, and only those of its newest one count. */
export function followedKinds({ kind }: RolloutObject): readonly FollowedKind[] {
  return kind === 'Deployment' ? ['ReplicaSet', 'Pod'] : ['Pod'];
}

export function watchFollowed(
  context: Context,
  object: RolloutObject,
  kind: FollowedKind,
  signal: AbortSignal,
): AsyncGenerator<Change, void, undefined> {
  return watchObjects(context, kind, { selector: selectorText(object) }, signal);
}

export class FollowedPods {
  readonly #objects = new Map<string | undefined, KubeObject>();
  readonly #unlisted: Set<FollowedKind>;

  constructor(object: RolloutObject) {
    this.#unlisted = new Set(followedKinds(object));
  }

  /** As they are now. */
  static async listed(context: Context, object: RolloutObject): Promise<FollowedPods> {
    const followed = new FollowedPods(object);
    for (const kind of followedKinds(object)) {
      const objects: KubeObject[] = await listObjects(context, kind, { selector: selectorText(object) });
      for (const each of objects) followed.take(kind, { type: 'ADDED', object: each });
      followed.take(kind, { type: 'BOOKMARK' });
    }
    return followed;
  }

  take(kind: FollowedKind, change: Change): void {
    if (change.type === 'BOOKMARK') this.#unlisted.delete(kind);
    else if (change.type === 'DELETED') this.#objects.delete(change.object.metadata.uid);
    else this.#objects.set(change.object.metadata.uid, change.object);
  }

  /** Undefined too while the workload's controller has not seen its spec: its pods are then of another template. */
  obstacleTo(object: RolloutObject): Obstacle | undefined {
    const owner = this.#knownOwner(object);
    if (!owner) return undefined;
    const failure = findCondition(owner.status?.conditions, 'ReplicaFailure');
    const replicaFailure = failure?.status === 'True' ? failure.message : undefined;
    return tellingObstacle(this.#podsOf(owner), { ...(replicaFailure !== undefined && { replicaFailure }) });
  }

  /** Of its newest template; none while that is not known. */
  podsOf(object: RolloutObject): Pod[] {
    const owner = this.#knownOwner(object);
    return owner ? this.#podsOf(owner) : [];
  }

  #knownOwner(object: RolloutObject): RolloutObject | ReplicaSet | undefined {
    const isSeen = (object.metadata.generation ?? 0) <= (object.status?.observedGeneration ?? 0);
    return isSeen && this.#unlisted.size === 0 ? this.#ownerOfPods(object) : undefined;
  }

  #ownerOfPods(object: RolloutObject): RolloutObject | ReplicaSet | undefined {
    if (object.kind !== 'Deployment') return object;
    const revision = object.metadata.annotations?.[revisionAnnotation];
    return this.#dependentsOf(object, 'ReplicaSet').find(
      ({ metadata }) => metadata.annotations?.[revisionAnnotation] === revision,
    );
  }

  /** In the order of their names, so that of several with the same trouble it is always the same one that is told of. */
  #podsOf(owner: KubeObject): Pod[] {
    return this.#dependentsOf(owner, 'Pod').sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  #dependentsOf(owner: KubeObject, kind: 'ReplicaSet'): ReplicaSet[];
  #dependentsOf(owner: KubeObject, kind: 'Pod'): Pod[];
  #dependentsOf(owner: KubeObject, kind: FollowedKind): KubeObject[] {
    const isOwn = (object: KubeObject): boolean =>
      object.kind === kind && controllerOf(object)?.uid === owner.metadata.uid;
    return [...this.#objects.values()].filter(isOwn);
  }
}
