/** One claim: its class, its volume, and when it may go. Pure. */
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { isPodBound, isPodFinished } from '../../../lib/model/pods.ts';
import {
  bound,
  claimProtection,
  defaultClassOf,
  isFor,
  suitableVolumes,
  suits,
  usesClaim,
} from '../../../lib/model/storage.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { isNamespaceOpen } from '../owned.ts';
import { withoutProtection } from './protection.ts';

const nothing: ReconcileResult = { changes: [] };

export function reconcileClaim(snapshot: Snapshot, claim: PersistentVolumeClaim): ReconcileResult {
  const { namespace } = claim.metadata;
  if (isDeleting(claim)) {
    // A pod that is on no node yet waits for the claim to be made anew: the scheduler does not bind it to one that goes.
    const isUser = (pod: Pod): boolean => usesClaim(pod, claim) && isPodBound(pod) && !isPodFinished(pod);
    const inUse = snapshot.list('Pod', namespace).some(isUser);
    return inUse ? nothing : withoutProtection(claim, claimProtection);
  }
  if (claim.spec.volumeName !== undefined) return bindTo(snapshot, claim, claim.spec.volumeName);
  if (!isNamespaceOpen(snapshot, namespace)) return nothing;
  return findVolume(snapshot, claim);
}

/** Also for claims that were bound long ago: both sides must say the same. */
function bindTo(snapshot: Snapshot, claim: PersistentVolumeClaim, name: string): ReconcileResult {
  const volume = snapshot.get('PersistentVolume', undefined, name);
  const wasBound = claim.status?.phase === 'Bound' || claim.status?.phase === 'Lost';
  if (!volume) {
    if (!wasBound) return refused(claim, `volume ${name} does not exist; create it, or delete the claim`);
    const message = `its volume ${name} is gone, and the data on it; delete the claim`;
    const lost: PersistentVolumeClaim = { ...claim, status: { phase: 'Lost' } };
    const events = [{ type: 'Warning' as const, reason: 'ClaimLost', message, about: claim }];
    return claim.status?.phase === 'Lost' ? nothing : { changes: [{ type: 'update', object: lost }], events };
  }
  if (isFor(volume, claim) && (wasBound || volume.spec.claimRef?.uid !== undefined)) return bind(volume, claim);
  if (suits(volume, claim)) return bind(volume, claim);
  const why =
    volume.spec.claimRef && !isFor(volume, claim) ? 'belongs to another claim' : 'is not what the claim asks for';
  return refused(claim, `volume ${name} ${why}; name another one, or none`);
}

function findVolume(snapshot: Snapshot, claim: PersistentVolumeClaim): ReconcileResult {
  const { storageClassName } = claim.spec;
  const classes = snapshot.list('StorageClass');
  const chosen = storageClassName === undefined ? defaultClassOf(classes) : undefined;
  if (chosen) {
    const spec = { ...claim.spec, storageClassName: chosen.metadata.name };
    return { changes: [{ type: 'update', object: { ...claim, spec } }] };
  }
  const [best] = suitableVolumes(claim, snapshot.list('PersistentVolume'));
  const storageClass = classes.find(({ metadata }) => metadata.name === storageClassName);
  if (storageClass?.volumeBindingMode === 'WaitForFirstConsumer' && !best?.spec.claimRef) {
    const message = 'it is bound with the first pod that names it';
    return { changes: [], events: [{ type: 'Normal', reason: 'WaitForFirstConsumer', message, about: claim }] };
  }
  if (best) return bind(best, claim);
  const which = storageClassName ? `of class ${storageClassName}` : 'without a class';
  return refused(claim, `no volume ${which} is free that is large enough and has its access modes; create one`);
}

function bind(volume: PersistentVolume, claim: PersistentVolumeClaim): ReconcileResult {
  const sides = bound(volume, claim);
  const changes: Change[] = [];
  if (!isSame(sides.volume, volume)) changes.push({ type: 'update', object: sides.volume });
  if (!isSame(sides.claim, claim)) changes.push({ type: 'update', object: sides.claim });
  return { changes };
}

function refused(about: PersistentVolumeClaim, message: string): ReconcileResult {
  return { changes: [], events: [{ type: 'Normal', reason: 'FailedBinding', message, about }] };
}
