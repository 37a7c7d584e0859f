import { coversPod } from '../../../lib/model/disruption.ts';
import { keyOf } from '../../../lib/model/keys.ts';
import type { KubeObject } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import { objectAt, sidesOf } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import { reconcileBudget } from './reconcile.ts';

export const disruptionController: Controller = {
  name: 'disruption-controller',
  reconcile(snapshot, key, nowMs) {
    const budget = objectAt(snapshot, 'PodDisruptionBudget', key);
    return budget ? reconcileBudget(snapshot, budget, nowMs) : { changes: [] };
  },
  *keysOf(change, snapshot) {
    for (const object of sidesOf(change)) yield* budgetKeys(object, snapshot);
  },
};

function* budgetKeys(object: KubeObject, snapshot: Snapshot): Iterable<string> {
  if (object.kind === 'PodDisruptionBudget') {
    yield keyOf(object);
    return;
  }
  const isPod = object.kind === 'Pod';
  // A workload's replicas are what a budget expects.
  if (!isPod && !('spec' in object && object.spec && 'replicas' in object.spec)) return;
  for (const budget of snapshot.list('PodDisruptionBudget', object.metadata.namespace)) {
    if (!isPod || coversPod(budget, object)) yield keyOf(budget);
  }
}
