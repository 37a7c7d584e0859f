/**
 * A preemption as a transaction: the victims get their deletionTimestamp, the pod says where it will have room. All of it
 * is compared with what was decided upon, and with the leader's term.
 */
import { encodeObject } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { type Compare, modRevisionIs, putOf, type Transaction } from '../../lib/store/store.ts';
import type { KubeObject, Pod } from '../../proto/gen/types.ts';
import { deletionOf } from '../state/deletion.ts';
import { withScheduled } from './bind.ts';
import type { PodPreemption } from './eviction-round.ts';

/** etcd's limit is 128 operations. What is left over has its turn when these have gone. */
const mostVictims = 60;

export function preemptionTransaction(
  { pod, node, victims }: PodPreemption,
  message: string,
  fence: Compare,
  nowMs: number,
): Transaction {
  const marked = victims.slice(0, mostVictims).flatMap((victim): KubeObject[] => {
    const deletion = deletionOf(victim, undefined, nowMs);
    return deletion.type === 'mark' ? [deletion.object] : [];
  });
  const written: KubeObject[] = [nominated(pod, node.metadata.name, message, nowMs), ...marked];
  return {
    compare: [fence, ...written.map((object) => modRevisionIs(keyOf(object), revisionOf(object)))],
    success: written.map((object) => putOf(keyOf(object), encodeObject(object))),
  };
}

function nominated(pod: Pod, nominatedNodeName: string, message: string, nowMs: number): Pod {
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message } as const;
  return { ...pod, status: { ...pod.status, nominatedNodeName, conditions: withScheduled(pod, condition, nowMs) } };
}
