import { keyOf, objectKey } from '../../../lib/model/keys.ts';
import { usesClaim } from '../../../lib/model/storage.ts';
import type { KubeObject, PersistentVolumeClaim } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import { adopterKeys } from '../adoption.ts';
import { configuredKeys, controllerKey, objectAt, sidesOf } from '../keys-of.ts';
import { roomKeys } from '../pod-admission.ts';
import type { Controller } from '../run-controller.ts';
import { ordinalIn } from './identity.ts';
import { reconcileStatefulSet, type StatefulSetOptions } from './reconcile.ts';

export function statefulSetController(options: StatefulSetOptions): Controller {
  return {
    name: 'statefulset-controller',
    reconcile(snapshot, key, nowMs) {
      const statefulSet = objectAt(snapshot, 'StatefulSet', key);
      return statefulSet ? reconcileStatefulSet(snapshot, statefulSet, nowMs, options) : { changes: [] };
    },
    *keysOf(change, snapshot) {
      yield* adopterKeys(change, 'StatefulSet', snapshot);
      yield* configuredKeys(change, 'StatefulSet', snapshot);
      yield* roomKeys(change, 'StatefulSet', snapshot);
      for (const object of sidesOf(change)) {
        if (object.kind === 'StatefulSet') yield keyOf(object);
        else if (object.kind === 'PersistentVolumeClaim' && !change.object) yield* usersOf(object, snapshot);
        else if (object.kind === 'Pod' || object.kind === 'ControllerRevision') {
          const key = controllerKey(object, 'StatefulSet') ?? namesake(object, snapshot);
          if (key !== undefined) yield key;
        }
      }
    },
  };
}

/** Whose pods wait for a claim that is gone. */
function* usersOf(claim: PersistentVolumeClaim, snapshot: Snapshot): Iterable<string> {
  for (const pod of snapshot.list('Pod', claim.metadata.namespace)) {
    const key = usesClaim(pod, claim) ? controllerKey(pod, 'StatefulSet') : undefined;
    if (key !== undefined) yield key;
  }
}

/** A stranger with the name of one of our pods: when it goes, the name is free. */
function namesake({ kind, metadata }: KubeObject, snapshot: Snapshot): string | undefined {
  if (kind !== 'Pod') return undefined;
  const { base, ordinal } = ordinalIn(metadata.name);
  if (ordinal === undefined || !snapshot.get('StatefulSet', metadata.namespace, base)) return undefined;
  return objectKey('StatefulSet', metadata.namespace, base);
}
