import { keyOf } from '../../../lib/model/keys.ts';
import { isSame } from '../../../lib/model/object.ts';
import type { Node } from '../../../proto/gen/types.ts';
import type { ObjectChange } from '../../state/cluster-state.ts';
import { adopterKeys } from '../adoption.ts';
import { configuredKeys, controllerKey, objectAt, sidesOf } from '../keys-of.ts';
import { roomKeys } from '../pod-admission.ts';
import type { Controller } from '../run-controller.ts';
import { type DaemonSetOptions, reconcileDaemonSet } from './reconcile.ts';

export function daemonSetController(options: DaemonSetOptions): Controller {
  return {
    name: 'daemonset-controller',
    reconcile(snapshot, key, nowMs) {
      const daemonSet = objectAt(snapshot, 'DaemonSet', key);
      return daemonSet ? reconcileDaemonSet(snapshot, daemonSet, nowMs, options) : { changes: [] };
    },
    *keysOf(change, snapshot) {
      yield* adopterKeys(change, 'DaemonSet', snapshot);
      yield* configuredKeys(change, 'DaemonSet', snapshot);
      yield* roomKeys(change, 'DaemonSet', snapshot);
      if (concernsPlacement(change)) for (const daemonSet of snapshot.list('DaemonSet')) yield keyOf(daemonSet);
      for (const object of sidesOf(change)) {
        if (object.kind === 'DaemonSet') yield keyOf(object);
        else if (object.kind === 'Pod' || object.kind === 'ControllerRevision') {
          const key = controllerKey(object, 'DaemonSet');
          if (key !== undefined) yield key;
        }
      }
    },
  };
}

/** Nodes that come and go, and their labels and taints; not what they report all the time. */
function concernsPlacement({ object, previous }: ObjectChange): boolean {
  if ((object ?? previous)?.kind !== 'Node') return false;
  if (!object || !previous) return true;
  const [node, before] = [object as Node, previous as Node];
  return !isSame(node.metadata.labels, before.metadata.labels) || !isSame(node.spec.taints, before.spec.taints);
}
