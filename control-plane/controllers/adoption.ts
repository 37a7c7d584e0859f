/**
 * Orphans that come home: what a workload left behind when it was deleted with --cascade=orphan belongs to the next
 * workload of its name, if that one selects it. Pure.
 *
 * Kubernetes adopts whatever a selector finds. Here it must also be called after the workload, so that workloads whose
 * selectors overlap keep to what they made; and nobody ever takes what has a controller.
 *
 * Who becomes a StatefulSet's must not run twice from then on (lib/model/fencing.ts): its Node is compared and rewritten,
 * as by a binding (control-plane/scheduler/fenced-bindings.ts), and nobody is taken from a node that is gone or going.
 */
import { needsNode } from '../../lib/model/fencing.ts';
import { objectKey } from '../../lib/model/keys.ts';
import { matchesSelector } from '../../lib/model/labels.ts';
import { controllerOf, controllerReference, isDeleting } from '../../lib/model/object.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { DaemonSet, Deployment, KubeObject, Node, ReplicaSet, StatefulSet } from '../../proto/gen/types.ts';
import type { ObjectChange } from '../state/cluster-state.ts';
import { orphanName } from '../state/orphans.ts';
import type { Change, Snapshot } from '../state/snapshot.ts';
import { batchOf } from './batch.ts';

type Workload = DaemonSet | Deployment | ReplicaSet | StatefulSet;

/** In one turn, beside the owner. */
const mostAdoptions = 50;

/** Empty when there are none, as nearly always. With the owner, which must not have begun to go meanwhile. */
export function adoptions(snapshot: Snapshot, owner: Workload, kinds: readonly Kind[]): readonly Change[] {
  const { name, namespace } = owner.metadata;
  const orphans = kinds.flatMap((kind): readonly KubeObject[] => snapshot.orphansOf(kind, namespace, name));
  const own = orphans.filter(
    (orphan) =>
      !isDeleting(orphan) &&
      matchesSelector(owner.spec.selector, orphan.metadata.labels) &&
      !isOnLeavingNode(snapshot, orphan, owner),
  );
  if (own.length === 0) return own as never[];
  const changes = own.map((orphan): Change => ({ type: 'update', object: adopted(orphan, owner) }));
  const batch = batchOf(changes, mostAdoptions);
  const nodes = new Set(batch.flatMap(({ object }) => nodeOf(snapshot, object) ?? []));
  const guards = [...nodes].map((object): Change => ({ type: 'update', object }));
  return [...batch, ...guards, { type: 'update', object: owner }];
}

/** Of a pod that must not run twice, and may be running. */
function nodeOf(snapshot: Snapshot, object: KubeObject): Node | undefined {
  if (object.kind !== 'Pod' || !needsNode(object)) return undefined;
  return snapshot.get('Node', undefined, object.spec.nodeName ?? '');
}

function isOnLeavingNode(snapshot: Snapshot, orphan: KubeObject, owner: Workload): boolean {
  const pod = adopted(orphan, owner);
  if (pod.kind !== 'Pod' || !needsNode(pod)) return false;
  const node = nodeOf(snapshot, pod);
  return !node || isDeleting(node);
}

function adopted(orphan: KubeObject, owner: Workload): KubeObject {
  const ownerReferences = [...(orphan.metadata.ownerReferences ?? []), controllerReference(owner)];
  return { ...orphan, metadata: { ...orphan.metadata, ownerReferences } } as KubeObject;
}

/** The workload of this kind that an orphan may belong to. */
export function* adopterKeys({ object }: ObjectChange, kind: Kind, snapshot: Snapshot): Generator<string> {
  if (!object || controllerOf(object)) return;
  const name = orphanName(object);
  if (name === undefined || !snapshot.get(kind, object.metadata.namespace, name)) return;
  yield objectKey(kind, object.metadata.namespace, name);
}
