import { keyOf } from '../../../lib/model/keys.ts';
import type { KubeObject } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import { adopterKeys } from '../adoption.ts';
import { configuredKeys, controllerKey, objectAt, sidesOf } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileDeployment } from './reconcile.ts';

export const deploymentController: Controller = {
  name: 'deployment-controller',
  reconcile(snapshot, key, nowMs) {
    const deployment = objectAt(snapshot, 'Deployment', key);
    return deployment ? reconcileDeployment(snapshot, deployment, nowMs) : { changes: [] };
  },
  *keysOf(change, snapshot) {
    yield* adopterKeys(change, 'Deployment', snapshot);
    yield* configuredKeys(change, 'Deployment', snapshot);
    for (const object of sidesOf(change)) {
      const key = deploymentKey(object, snapshot);
      if (key !== undefined) yield key;
    }
  },
};

function deploymentKey(object: KubeObject, snapshot: Snapshot): string | undefined {
  if (object.kind === 'Deployment') return keyOf(object);
  if (object.kind === 'ReplicaSet') return controllerKey(object, 'Deployment');
  if (object.kind !== 'Pod') return undefined;
  const key = controllerKey(object, 'ReplicaSet');
  const replicaSet = key === undefined ? undefined : objectAt(snapshot, 'ReplicaSet', key);
  return replicaSet && controllerKey(replicaSet, 'Deployment');
}
