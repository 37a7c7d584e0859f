import { isDeleting } from '../../../lib/model/object.ts';
import type { OwnerReference } from '../../../proto/gen/types.ts';
import type { ObjectChange } from '../../state/cluster-state.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import type { Controller } from '../run-controller.ts';
import { isKnownKind, ownerOf } from './owners.ts';
import { reconcileOwner, reconcileReferences } from './reconcile.ts';

const ownerPrefix = 'owner:';
const objectPrefix = 'references-of:';

export const garbageController: Controller = {
  name: 'garbage-collector',
  reconcile(snapshot, key, nowMs) {
    return key.startsWith(ownerPrefix)
      ? reconcileOwner(snapshot, key.slice(ownerPrefix.length), nowMs)
      : reconcileReferences(snapshot, key.slice(objectPrefix.length));
  },
  *keysOf(change, snapshot) {
    const { object, previous } = change;
    const uid = previous?.metadata.uid;
    if (uid !== undefined && object?.metadata.uid !== uid) yield ownerPrefix + uid; // it has gone
    if (object?.metadata.deletionTimestamp !== undefined) yield ownerPrefix + object.metadata.uid;
    const references = changedReferences(change);
    if (object && references.some((one) => isKnownKind(one) && ownerOf(snapshot, object, one) === undefined)) {
      yield objectPrefix + object.metadata.uid;
    }
    // Those that are going may wait for what they own.
    for (const owner of references) if (isGoing(snapshot, owner.uid)) yield ownerPrefix + owner.uid;
  },
};

/** Those before and after, of an object that comes or goes or gets other owners. */
function changedReferences({ object, previous }: ObjectChange): readonly OwnerReference[] {
  const [now, before] = [object, previous].map((side) => side?.metadata.ownerReferences ?? []) as [
    OwnerReference[],
    OwnerReference[],
  ];
  const isSame = now.length === before.length && now.every(({ uid }, index) => uid === before[index]!.uid);
  return object && previous && isSame ? [] : [...now, ...before];
}

function isGoing(snapshot: Snapshot, uid: string): boolean {
  const owner = snapshot.byUID(uid);
  return owner !== undefined && isDeleting(owner);
}
