/** From a change of one object to the keys of those who must look: shared by the controllers' `keysOf`. */
import { keyOf, objectKey, parseKey } from '../../lib/model/keys.ts';
import { controllerOf } from '../../lib/model/object.ts';
import { findKind, type Kind } from '../../lib/model/schema.ts';
import type { KindMap, KubeObject } from '../../proto/gen/types.ts';
import type { ObjectChange } from '../state/cluster-state.ts';
import type { Snapshot } from '../state/snapshot.ts';

/** The object before and after the change, as far as there is one. */
export function sidesOf({ object, previous }: ObjectChange): readonly KubeObject[] {
  if (!object) return previous ? [previous] : [];
  return previous ? [object, previous] : [object];
}

/** Where the controller of `object` lives if it is of this kind. */
export function controllerKey(object: KubeObject, kind: Kind): string | undefined {
  const owner = controllerOf(object);
  if (!owner || findKind(owner.kind)?.kind !== kind) return undefined;
  return objectKey(kind, object.metadata.namespace, owner.name);
}

/** The workloads of this kind that roll out with a ConfigMap or Secret, and the owner of one of their copies. */
export function* configuredKeys(change: ObjectChange, kind: Kind, snapshot: Snapshot): Generator<string> {
  const object = change.object ?? change.previous;
  if (object?.kind !== 'ConfigMap' && object?.kind !== 'Secret') return;
  for (const workload of snapshot.configuredBy(change.key)) if (workload.kind === kind) yield keyOf(workload);
  const owner = controllerKey(object, kind);
  if (owner !== undefined) yield owner;
}

/** The object that a key names, if it is there and of that kind. */
export function objectAt<K extends Kind>(snapshot: Snapshot, kind: K, key: string): KindMap[K] | undefined {
  const parsed = parseKey(key);
  return parsed?.kind === kind ? snapshot.get(kind, parsed.namespace, parsed.name) : undefined;
}
