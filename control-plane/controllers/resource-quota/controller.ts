import { keyOf } from '../../../lib/model/keys.ts';
import { isDeleting } from '../../../lib/model/object.ts';
import { isPodFinished } from '../../../lib/model/pods.ts';
import { kindsCountedBy } from '../../../lib/model/quota.ts';
import type { ObjectChange } from '../../state/cluster-state.ts';
import { objectAt } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileQuota } from './reconcile.ts';

export const resourceQuotaController: Controller = {
  name: 'resource-quota-controller',
  reconcile(snapshot, key, nowMs) {
    const quota = objectAt(snapshot, 'ResourceQuota', key);
    return quota ? reconcileQuota(snapshot, quota, nowMs) : { changes: [] };
  },
  *keysOf(change, snapshot) {
    const object = change.object ?? change.previous;
    if (!object || object.metadata.namespace === undefined) return;
    if (object.kind === 'ResourceQuota' && change.object) yield keyOf(object);
    if (!mayCountOtherwise(change)) return;
    for (const quota of snapshot.list('ResourceQuota', object.metadata.namespace)) {
      if (kindsCountedBy(quota).includes(object.kind)) yield keyOf(quota);
    }
  },
};

/** Most changes are statuses, which count for nothing. */
function mayCountOtherwise({ object, previous }: ObjectChange): boolean {
  if (!object || !previous) return true;
  if (object.kind !== 'Pod' || previous.kind !== 'Pod') return object.kind === 'Service';
  return isPodFinished(object) !== isPodFinished(previous) || isDeleting(object) !== isDeleting(previous);
}
