/** Whom a reference to an owner means. Pure. */
import { findKind, kindInfo } from '../../../lib/model/schema.ts';
import type { KubeObject, OwnerReference } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';

/** Undefined when there is none. What lives in a namespace owns nothing outside of it. */
export function ownerOf(snapshot: Snapshot, object: KubeObject, { uid }: OwnerReference): KubeObject | undefined {
  const owner = snapshot.byUID(uid);
  return owner && isWithinReach(object, owner) ? owner : undefined;
}

function isWithinReach({ metadata }: KubeObject, owner: KubeObject): boolean {
  return kindInfo(owner.kind).clusterScoped || owner.metadata.namespace === metadata.namespace;
}

/** A kind that we do not know is one that a newer control plane does: its objects are taken to exist. */
export function mayExist(snapshot: Snapshot, object: KubeObject, reference: OwnerReference): boolean {
  return (
    !isKnownKind(reference) || isSenseless(object, reference) || ownerOf(snapshot, object, reference) !== undefined
  );
}

export function isKnownKind({ kind }: OwnerReference): boolean {
  return findKind(kind) !== undefined;
}

/** Nobody can tell whether such an owner exists: the name means another object in each namespace. */
export function isSenseless(object: KubeObject, { kind }: OwnerReference): boolean {
  return kindInfo(object.kind).clusterScoped && findKind(kind)?.clusterScoped === false;
}
