import { keyOf, objectKey } from '../../../lib/model/keys.ts';
import { matchesLabels } from '../../../lib/model/labels.ts';
import type { KubeObject } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import { objectAt, sidesOf } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileEndpointSlices, selects, serviceNameLabel } from './reconcile.ts';

export const endpointSliceController: Controller = {
  name: 'endpointslice-controller',
  reconcile(snapshot, key) {
    const service = objectAt(snapshot, 'Service', key);
    return service ? reconcileEndpointSlices(snapshot, service) : { changes: [] };
  },
  *keysOf(change, snapshot) {
    for (const object of sidesOf(change)) yield* serviceKeys(object, snapshot);
  },
};

function* serviceKeys(object: KubeObject, snapshot: Snapshot): Iterable<string> {
  const { namespace, labels } = object.metadata;
  if (object.kind === 'Service') yield keyOf(object);
  else if (object.kind === 'EndpointSlice') {
    const name = labels?.[serviceNameLabel];
    if (name) yield objectKey('Service', namespace, name);
  } else if (object.kind === 'Pod') {
    for (const service of snapshot.list('Service', namespace)) {
      if (selects(service) && matchesLabels(service.spec.selector ?? {}, labels)) yield keyOf(service);
    }
  }
}
