/** The objects of one kind that an owner controls. */
import { isControlledBy } from '../../lib/model/object.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { KindMap, KubeObject } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

export function controlledBy<K extends Kind>(snapshot: Snapshot, owner: KubeObject, kind: K): KindMap[K][] {
  const owned = snapshot.ownedBy(owner.metadata.uid ?? '');
  return owned.filter(
    (object): object is KindMap[K] & KubeObject => object.kind === kind && isControlledBy(object, owner),
  );
}

/** Nothing new may be made in a namespace that is going. */
export function isNamespaceOpen(snapshot: Snapshot, namespace: string | undefined): boolean {
  return snapshot.get('Namespace', undefined, namespace ?? 'default')?.metadata.deletionTimestamp === undefined;
}
