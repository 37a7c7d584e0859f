/** The objects of one kind that an owner controls. */
import type { Kind } from '../../lib/model/schema.ts';
import type { KindMap, KubeObject } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

export function controlledBy<K extends Kind>(snapshot: Snapshot, owner: KubeObject, kind: K): readonly KindMap[K][] {
  return snapshot.controlledBy(kind, owner.metadata.uid ?? '');
}

/** Nothing new may be made in a namespace that is going. */
export function isNamespaceOpen(snapshot: Snapshot, namespace: string | undefined): boolean {
  return snapshot.get('Namespace', undefined, namespace ?? 'default')?.metadata.deletionTimestamp === undefined;
}
