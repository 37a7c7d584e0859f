/** One volume: whose it is, and what becomes of it when that claim is gone. Pure. */
import { isDeleting } from '../../../lib/model/object.ts';
import { isProvisioned, volumeProtection } from '../../../lib/model/storage.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../../proto/gen/types.ts';
import type { ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { isVolumeOn } from '../../storage/volume-nodes.ts';
import { withoutProtection } from './protection.ts';

export function reconcileVolume(snapshot: Snapshot, volume: PersistentVolume): ReconcileResult {
  const phase = phaseOf(snapshot, volume);
  if (
    phase === 'Released' &&
    isReclaimable(volume) &&
    !snapshot.list('Node').some((node) => isVolumeOn(volume, node))
  ) {
    const message = 'its node is not in the cluster any more, and so is the data';
    const events = [{ type: 'Warning' as const, reason: 'VolumeLost', message, about: volume }];
    const finalizers = (volume.metadata.finalizers ?? []).filter((one) => one !== volumeProtection);
    // Somebody else's hold it on.
    const free = { ...volume, metadata: { ...volume.metadata, finalizers } };
    return { changes: [{ type: 'delete', object: free }], events };
  }
  // A reclaimable one goes with its directory: storage/reclaim.ts.
  if (isDeleting(volume) && phase !== 'Bound' && !(phase === 'Released' && isReclaimable(volume))) {
    return withoutProtection(volume, volumeProtection);
  }
  if (volume.status?.phase === phase) return { changes: [] };
  return { changes: [{ type: 'update', object: { ...volume, status: { phase } } }] };
}

function phaseOf(snapshot: Snapshot, volume: PersistentVolume): 'Available' | 'Bound' | 'Released' {
  if (volume.spec.claimRef?.uid === undefined) return 'Available';
  return holderOf(snapshot, volume) ? 'Bound' : 'Released';
}

export function holderOf(snapshot: Snapshot, { spec, metadata }: PersistentVolume): PersistentVolumeClaim | undefined {
  const { name = '', namespace, uid } = spec.claimRef ?? {};
  const claim = snapshot.get('PersistentVolumeClaim', namespace, name);
  return claim && uid === claim.metadata.uid && claim.spec.volumeName === metadata.name ? claim : undefined;
}

/** The data goes with the claim. */
export function isReclaimable(volume: PersistentVolume): boolean {
  return isProvisioned(volume) && volume.spec.persistentVolumeReclaimPolicy === 'Delete';
}
