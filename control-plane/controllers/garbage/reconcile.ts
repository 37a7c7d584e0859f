/**
 * Garbage collection: what exists only for an owner goes when the owner has gone.
 *
 * The unit of work is an owner's uid, so that everything an owner leaves behind goes in a few transactions.
 * - An object goes when none of its owners exists any more; with one left it only loses the references to the others.
 *   An owner of a kind that only a newer control plane knows is taken to exist.
 * - An owner with the finalizer `orphan` sets its dependents free first, and then goes.
 * - An object that is being deleted and waits for no finalizer goes too (pods wait for their agent, namespaces for theirs).
 */
import { isDeleting } from '../../../lib/model/object.ts';
import { findKind } from '../../../lib/model/schema.ts';
import type { KubeObject, OwnerReference } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { batchOf } from '../batch.ts';

export const orphanFinalizer = 'orphan';
const mostPerTransaction = 80;

export function reconcileOwner(snapshot: Snapshot, uid: string): ReconcileResult {
  const owner = snapshot.byUID(uid);
  if (!owner) return { changes: batchOf(leftBehind(snapshot, uid), mostPerTransaction) };
  if (!isDeleting(owner)) return { changes: [] };
  const finalizers = owner.metadata.finalizers ?? [];
  if (finalizers.includes(orphanFinalizer)) return { changes: setFree(snapshot, owner) };
  const waitsForOthers = owner.kind === 'Pod' || owner.kind === 'Namespace';
  return { changes: finalizers.length === 0 && !waitsForOthers ? [{ type: 'remove', object: owner }] : [] };
}

function leftBehind(snapshot: Snapshot, uid: string): Change[] {
  return snapshot.ownedBy(uid).flatMap((object): Change[] => {
    const owners = object.metadata.ownerReferences ?? [];
    const living = owners.filter((owner) => mayExist(snapshot, owner));
    if (living.length === owners.length) return [];
    if (living.length > 0) return [{ type: 'update', object: withOwners(object, living) }];
    return isDeleting(object) ? [] : [{ type: 'delete', object }];
  });
}

function mayExist(snapshot: Snapshot, { kind, uid }: OwnerReference): boolean {
  return snapshot.byUID(uid) !== undefined || findKind(kind) === undefined;
}

function setFree(snapshot: Snapshot, owner: KubeObject): readonly Change[] {
  const dependents = snapshot.ownedBy(owner.metadata.uid ?? '');
  if (dependents.length > 0) {
    const changes = dependents.slice(0, mostPerTransaction).map((object): Change => {
      const others = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
      return { type: 'update', object: withOwners(object, others) };
    });
    return batchOf(changes, mostPerTransaction);
  }
  const finalizers = (owner.metadata.finalizers ?? []).filter((finalizer) => finalizer !== orphanFinalizer);
  if (finalizers.length === 0) return [{ type: 'remove', object: owner }];
  return [{ type: 'update', object: { ...owner, metadata: { ...owner.metadata, finalizers } } as KubeObject }];
}

function withOwners(
  object: KubeObject,
  ownerReferences: NonNullable<KubeObject['metadata']['ownerReferences']>,
): KubeObject {
  return { ...object, metadata: { ...object.metadata, ownerReferences } } as KubeObject;
}
