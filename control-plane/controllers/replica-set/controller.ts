import { keyOf } from '../../../lib/model/keys.ts';
import { adopterKeys } from '../adoption.ts';
import { controllerKey, objectAt, sidesOf } from '../keys-of.ts';
import { roomKeys } from '../pod-admission.ts';
import type { Controller } from '../run-controller.ts';
import { type ReplicaSetOptions, reconcileReplicaSet } from './reconcile.ts';

export function replicaSetController(options: ReplicaSetOptions): Controller {
  return {
    name: 'replicaset-controller',
    reconcile(snapshot, key, nowMs) {
      const replicaSet = objectAt(snapshot, 'ReplicaSet', key);
      return replicaSet ? reconcileReplicaSet(snapshot, replicaSet, nowMs, options) : { changes: [] };
    },
    *keysOf(change, snapshot) {
      yield* adopterKeys(change, 'ReplicaSet', snapshot);
      yield* roomKeys(change, 'ReplicaSet', snapshot);
      for (const object of sidesOf(change)) {
        if (object.kind === 'ReplicaSet') yield keyOf(object);
        else if (object.kind === 'Pod') {
          const key = controllerKey(object, 'ReplicaSet');
          if (key !== undefined) yield key;
        }
      }
    },
  };
}
