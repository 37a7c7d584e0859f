/** What the scheduler goes by: the picture of the nodes and the pods that wait, kept up to date from the state's changes. */
import { isSame } from '../../lib/model/object.ts';
import type { Pod } from '../../proto/gen/types.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import { holdsResources } from './node-info.ts';
import { type Picture, pictureOf } from './picture.ts';
import { classKeyOf, isPending } from './pod-classes.ts';

/** Kinds that may let a waiting pod be placed, beside pods and nodes. */
const otherKinds: ReadonlySet<string> = new Set([
  'PriorityClass',
  'PodDisruptionBudget',
  'PersistentVolumeClaim',
  'PersistentVolume',
  'StorageClass',
]);

export class SchedulerView {
  readonly picture: Picture;
  readonly #pending = new Map<string, Pod>();

  constructor(state: ClusterState) {
    const pods = state.list('Pod');
    this.picture = pictureOf(state.list('Node'), pods);
    for (const pod of pods) if (isPending(pod)) this.#pending.set(nameOf(pod), pod);
  }

  get pending(): readonly Pod[] {
    return [...this.#pending.values()];
  }

  get isAnyPending(): boolean {
    return this.#pending.size > 0;
  }

  /** Whether something changed that may let a pass decide otherwise than the last one. */
  apply(changes: readonly ObjectChange[]): boolean {
    let matters = false;
    for (const change of changes) if (this.#applyOne(change)) matters = true;
    this.picture.prune();
    return matters;
  }

  #applyOne({ object, previous }: ObjectChange): boolean {
    const { kind } = (object ?? previous)!;
    if (kind === 'Pod') return this.#applyPod(previous as Pod | undefined, object as Pod | undefined);
    if (kind !== 'Node') return otherKinds.has(kind);
    if (object?.kind === 'Node') return this.picture.setNode(object);
    this.picture.removeNode(previous!.metadata.name);
    return true;
  }

  #applyPod(previous: Pod | undefined, pod: Pod | undefined): boolean {
    if (previous && pod && isOnlyNews(previous, pod)) {
      this.picture.replacePod(previous, pod);
      return false;
    }
    if (previous?.spec.nodeName !== undefined) this.picture.removePod(previous);
    if (pod?.spec.nodeName !== undefined) this.picture.addPod(pod);
    const name = nameOf((pod ?? previous)!);
    const waited = this.#pending.get(name);
    if (!pod || !isPending(pod)) {
      this.#pending.delete(name);
      return previous?.spec.nodeName !== undefined || pod?.spec.nodeName !== undefined;
    }
    this.#pending.set(name, pod);
    return waited === undefined || classKeyOf(waited) !== classKeyOf(pod);
  }
}

const nameOf = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;

/** A pod that stays where it is and holds what it held: containers started, became ready, were counted. */
function isOnlyNews(previous: Pod, pod: Pod): boolean {
  return (
    pod.spec.nodeName !== undefined &&
    pod.spec.nodeName === previous.spec.nodeName &&
    previous.metadata.deletionTimestamp === pod.metadata.deletionTimestamp &&
    holdsResources(previous) === holdsResources(pod) &&
    isSame(previous.metadata.labels, pod.metadata.labels) &&
    isSame(previous.metadata.ownerReferences, pod.metadata.ownerReferences) &&
    isSame(previous.spec, pod.spec)
  );
}
