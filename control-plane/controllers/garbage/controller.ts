import type { Controller } from '../run-controller.ts';
import { reconcileOwner } from './reconcile.ts';

const prefix = 'owner:';

export const garbageController: Controller = {
  name: 'garbage-collector',
  reconcile: (snapshot, key) => reconcileOwner(snapshot, key.slice(prefix.length)),
  *keysOf({ object, previous }) {
    const uid = previous?.metadata.uid;
    if (uid !== undefined && object?.metadata.uid !== uid) yield prefix + uid; // it has gone
    if (object?.metadata.deletionTimestamp !== undefined) yield prefix + object.metadata.uid;
    if (object?.metadata.ownerReferences === previous?.metadata.ownerReferences) return;
    for (const owner of object?.metadata.ownerReferences ?? []) yield prefix + owner.uid;
  },
};
