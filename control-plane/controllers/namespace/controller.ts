import { objectKey } from '../../../lib/model/keys.ts';
import { isDeleting } from '../../../lib/model/object.ts';
import { objectAt, sidesOf } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileNamespace } from './reconcile.ts';

export const namespaceController: Controller = {
  name: 'namespace-controller',
  reconcile(snapshot, key, nowMs) {
    const namespace = objectAt(snapshot, 'Namespace', key);
    return namespace ? reconcileNamespace(snapshot, namespace, nowMs) : { changes: [] };
  },
  *keysOf(change, snapshot) {
    for (const object of sidesOf(change)) {
      const name = object.kind === 'Namespace' ? object.metadata.name : object.metadata.namespace;
      const namespace = name === undefined ? undefined : snapshot.get('Namespace', undefined, name);
      if (namespace && isDeleting(namespace)) yield objectKey('Namespace', undefined, namespace.metadata.name);
    }
  },
};
