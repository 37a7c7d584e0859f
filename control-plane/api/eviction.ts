/** Evictions ask the PodDisruptionBudgets, and are charged to them in the transaction that marks the pod. */
import { GantryError } from '../../lib/errors.ts';
import { chargedBudget, coversPod, evictionVerdict } from '../../lib/model/disruption.ts';
import { keyOf, kindPrefix } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { KubeObject, Pod, PodDisruptionBudget } from '../../proto/gen/types.ts';
import type { Charge } from './delete.ts';
import type { ApiDependencies } from './dependencies.ts';

/** Throws resourceExhausted while a budget does not allow it; who evicts tries again later. */
export async function chargeBudgets(dependencies: ApiDependencies, object: KubeObject): Promise<Charge> {
  if (object.kind !== 'Pod') return { compare: [], operations: [] };
  const covering = await budgetsOver(dependencies, object);
  const charged = covering.filter((budget) => {
    const verdict = evictionVerdict(budget, object);
    if (verdict === 'refuse') throw refusal(budget);
    return verdict === 'charge';
  });
  return {
    // Also those that let it go free: what they allow must still be so.
    compare: covering.map((budget) => modRevisionIs(keyOf(budget), revisionOf(budget))),
    operations: charged.map((budget) => putOf(keyOf(budget), dependencies.codec.encode(chargedBudget(budget)))),
  };
}

async function budgetsOver({ store, codec }: ApiDependencies, pod: Pod): Promise<PodDisruptionBudget[]> {
  const { items } = await store.list(kindPrefix('PodDisruptionBudget', pod.metadata.namespace));
  return items.flatMap(({ key, value, modRevision }) => {
    const object = codec.decode(key, value, modRevision);
    return object?.kind === 'PodDisruptionBudget' && coversPod(object, pod) ? [object] : [];
  });
}

function refusal(budget: PodDisruptionBudget): GantryError {
  const { metadata, status } = budget;
  const name = JSON.stringify(metadata.name);
  const isCurrent = status?.observedGeneration === (metadata.generation ?? 1);
  const why = isCurrent
    ? `The disruption budget ${name} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`
    : `The disruption budget ${name} is still being processed by the control plane`;
  const message = `Cannot evict pod as it would violate the pod's disruption budget. ${why}; try again later`;
  return new GantryError('resourceExhausted', message);
}
