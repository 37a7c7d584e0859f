/**
 * A preemption as a transaction: the victims get their deletionTimestamp, their disruption budgets are charged, the pod
 * says where it will have room. All of it is compared with what was decided upon, and with the leader's term.
 */
import { encodeObject } from '../../lib/model/codec.ts';
import { chargedBudget, coversPod, disruptionsAllowed, evictionVerdict } from '../../lib/model/disruption.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { type Compare, modRevisionIs, putOf, type Transaction } from '../../lib/store/store.ts';
import type { KubeObject, Pod, PodDisruptionBudget } from '../../proto/gen/types.ts';
import { deletionOf } from '../state/deletion.ts';
import { withScheduled } from './bind.ts';
import type { PodPreemption } from './eviction-round.ts';
import type { Budget } from './preempt.ts';

/** etcd's limit is 128 operations. What is left over has its turn when these have gone. */
const mostVictims = 60;

export function preemptionTransaction(
  { pod, node, victims }: PodPreemption,
  message: string,
  budgets: readonly PodDisruptionBudget[],
  fence: Compare,
  nowMs: number,
): Transaction {
  const going = victims.slice(0, mostVictims);
  const marked = going.flatMap((victim): KubeObject[] => {
    const deletion = deletionOf(victim, undefined, nowMs);
    return deletion.type === 'mark' ? [deletion.object] : [];
  });
  const charged = budgets.flatMap((budget) => {
    const count = going.filter(
      (victim) => coversPod(budget, victim) && evictionVerdict(budget, victim) !== 'free',
    ).length;
    return count > 0 ? [chargedBudget(budget, count)] : [];
  });
  const written: KubeObject[] = [nominated(pod, node.metadata.name, message, nowMs), ...marked, ...charged];
  return {
    compare: [fence, ...written.map((object) => modRevisionIs(keyOf(object), revisionOf(object)))],
    success: written.map((object) => putOf(keyOf(object), encodeObject(object))),
  };
}

function nominated(pod: Pod, nominatedNodeName: string, message: string, nowMs: number): Pod {
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message } as const;
  return { ...pod, status: { ...pod.status, nominatedNodeName, conditions: withScheduled(pod, condition, nowMs) } };
}

/** As preempt.ts reads it. Pods that are not ready cost a budget nothing. */
export function budgetFor(budget: PodDisruptionBudget): Budget {
  return {
    allowed: disruptionsAllowed(budget),
    covers: (pod) => coversPod(budget, pod) && evictionVerdict(budget, pod) !== 'free',
  };
}
