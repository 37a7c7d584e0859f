import { objectKey, parseKey } from '../../../lib/model/keys.ts';
import { isPodFinished } from '../../../lib/model/pods.ts';
import type { Controller } from '../run-controller.ts';
import { collectFinishedPods } from './reconcile.ts';

export const podGarbageController: Controller = {
  name: 'pod-garbage-collector',
  reconcile: (snapshot, key) => collectFinishedPods(snapshot, parseKey(key)?.name ?? ''),
  *keysOf({ object }) {
    if (object?.kind !== 'Pod' || !object.spec.nodeName || !isPodFinished(object)) return;
    yield objectKey('Node', undefined, object.spec.nodeName);
  },
};
