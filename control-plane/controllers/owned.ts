/** The objects of one kind that an owner controls. */
import { isControlledBy } from '../../lib/model/object.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { KindMap, KubeObject } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

/** What an owner has is one list until it changes: a Deployment and its ReplicaSet ask for the same pods, one after the other. */
const answers = new WeakMap<readonly KubeObject[], Map<Kind, readonly KubeObject[]>>();

export function controlledBy<K extends Kind>(snapshot: Snapshot, owner: KubeObject, kind: K): readonly KindMap[K][] {
  const owned = snapshot.ownedBy(owner.metadata.uid ?? '');
  if (owned.length === 0) return [];
  const known = answers.get(owned) ?? new Map<Kind, readonly KubeObject[]>();
  answers.set(owned, known);
  let found = known.get(kind);
  if (!found) {
    found = owned.filter((object) => object.kind === kind && isControlledBy(object, owner));
    known.set(kind, found);
  }
  return found as readonly KindMap[K][];
}

/** Nothing new may be made in a namespace that is going. */
export function isNamespaceOpen(snapshot: Snapshot, namespace: string | undefined): boolean {
  return snapshot.get('Namespace', undefined, namespace ?? 'default')?.metadata.deletionTimestamp === undefined;
}
