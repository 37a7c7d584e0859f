/**
 * Binds claims to volumes that are there, keeps both sides saying the same, and lets go of what is not used any more.
 *
 * - A volume and its claim are written in one transaction that compares both: a volume never has two claims.
 * - Claims of a class that waits for the first consumer are bound by the scheduler, with the pod.
 * - Writes: `claimRef` and status of volumes; `volumeName`, `storageClassName` where a claim names none (the default
 *   class) and status of claims; the protection finalizers of both.
 */
import { keyOf, objectKey } from '../../../lib/model/keys.ts';
import { isDeleting } from '../../../lib/model/object.ts';
import { claimNamesOf } from '../../../lib/model/storage.ts';
import type { KubeObject, PersistentVolume } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import { objectAt, sidesOf } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileClaim } from './claim.ts';
import { isReclaimable, reconcileVolume } from './volume.ts';

export const persistentVolumeController: Controller = {
  name: 'persistentvolume-controller',
  reconcile(snapshot, key) {
    const claim = objectAt(snapshot, 'PersistentVolumeClaim', key);
    if (claim) return reconcileClaim(snapshot, claim);
    const volume = objectAt(snapshot, 'PersistentVolume', key);
    return volume ? reconcileVolume(snapshot, volume) : { changes: [] };
  },
  *keysOf(change, snapshot) {
    for (const object of sidesOf(change)) yield* keysFor(object, snapshot);
    if (change.previous?.kind === 'Node' && !change.object) {
      for (const volume of snapshot.list('PersistentVolume')) if (isReclaimable(volume)) yield keyOf(volume);
    }
  },
};

function* keysFor(object: KubeObject, snapshot: Snapshot): Iterable<string> {
  if (object.kind === 'PersistentVolumeClaim') {
    yield keyOf(object);
    const { volumeName } = object.spec;
    if (volumeName !== undefined) yield objectKey('PersistentVolume', undefined, volumeName);
  } else if (object.kind === 'PersistentVolume') {
    yield keyOf(object);
    yield* claimsOf(object, snapshot);
  } else if (object.kind === 'StorageClass') {
    yield* waitingClaims(snapshot);
  } else if (object.kind === 'Pod') {
    for (const name of claimNamesOf(object.spec)) {
      const claim = snapshot.get('PersistentVolumeClaim', object.metadata.namespace, name);
      if (claim && isDeleting(claim)) yield keyOf(claim);
    }
  }
}

/** The claim that has it, or those that might. */
function* claimsOf({ spec, metadata }: PersistentVolume, snapshot: Snapshot): Iterable<string> {
  const { claimRef } = spec;
  if (claimRef?.name) yield objectKey('PersistentVolumeClaim', claimRef.namespace, claimRef.name);
  if (claimRef?.uid === undefined) yield* waitingClaims(snapshot);
  for (const claim of snapshot.list('PersistentVolumeClaim')) {
    if (claim.spec.volumeName === metadata.name) yield keyOf(claim);
  }
}

function* waitingClaims(snapshot: Snapshot): Iterable<string> {
  for (const claim of snapshot.list('PersistentVolumeClaim')) {
    if (claim.spec.volumeName === undefined) yield keyOf(claim);
  }
}
