/**
 * Bindings as transactions. A binding writes spec.nodeName, the pod's address and the PodScheduled condition, and takes
 * the address's key, all compared with the pod's mod revision, the key's absence and the leader's term. Many share one
 * transaction; when that fails they are retried apart, and one that fails alone is left for the next pass.
 */
import { type Clock, timestamp } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { encodeObject } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import {
  absent,
  type Compare,
  modRevisionIs,
  putOf,
  type Store,
  type Transaction,
  type TransactionResult,
} from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import type { Condition, Node, Pod } from '../../proto/gen/types.ts';

/** Two puts each; etcd's own limit is 128 operations. */
export const bindingsPerTransaction = 60;

/** The pod as bound. `podIP` is the node's address for a pod in the node's network. */
export function boundPod(pod: Pod, node: Node, podIP: string, nowMs: number): Pod {
  const { nominatedNodeName: _served, ...status } = pod.status ?? {};
  return {
    ...pod,
    spec: { ...pod.spec, nodeName: node.metadata.name },
    status: {
      ...status,
      phase: 'Pending',
      hostIP: addressOf(node),
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: withScheduled(pod, { type: 'PodScheduled', status: 'True' }, nowMs),
    },
  };
}

export function addressOf(node: Node): string {
  return node.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
}

/** Replaces the PodScheduled condition; its transition time moves only when its status does. */
export function withScheduled(pod: Pod, condition: Condition, nowMs: number): Condition[] {
  const conditions = pod.status?.conditions ?? [];
  const before = conditions.find(({ type }) => type === 'PodScheduled');
  const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
  return [
    ...conditions.filter(({ type }) => type !== 'PodScheduled'),
    { ...condition, lastTransitionTime: since ?? timestamp(nowMs) },
  ];
}

export function bindingTransaction(bound: readonly Pod[], fence: Compare): Transaction {
  const addressKeys = bound.map(allocationKeysOf);
  return {
    compare: [
      fence,
      ...bound.map((pod) => modRevisionIs(keyOf(pod), BigInt(pod.metadata.resourceVersion!))),
      ...addressKeys.flat().map(absent),
    ],
    success: bound.flatMap((pod, index) => [
      putOf(keyOf(pod), encodeObject(pod)),
      ...addressKeys[index]!.map((key) => putOf(key, Buffer.from(pod.metadata.uid!))),
    ]),
  };
}

export interface Bound {
  readonly pods: readonly Pod[];
  /** Lost the compare even alone (changed, deleted, or the address is taken), or refused by the store as too large. */
  readonly failed: readonly Pod[];
  /** Newest revision written. */
  readonly revision: bigint;
}

export async function writeBindings(store: Store, bound: readonly Pod[], fence: Compare, clock: Clock): Promise<Bound> {
  const done: Pod[] = [];
  const failed: Pod[] = [];
  let revision = 0n;
  const write = async (pods: readonly Pod[]): Promise<void> => {
    const written = await unlessRefused(transactOnce(store, bindingTransaction(pods, fence), { clock }));
    if (written?.succeeded) {
      done.push(...pods);
      if (written.revision > revision) revision = written.revision;
    } else if (pods.length > 1) {
      for (const pod of pods) await write([pod]);
    } else {
      failed.push(...pods);
    }
  };
  for (let start = 0; start < bound.length; start += bindingsPerTransaction) {
    await write(bound.slice(start, start + bindingsPerTransaction));
  }
  return { pods: done, failed, revision };
}

/** Undefined for a transaction that the store will never take, such as one of many large pods. */
async function unlessRefused(written: Promise<TransactionResult>): Promise<TransactionResult | undefined> {
  try {
    return await written;
  } catch (error) {
    if (isGantryError(error, 'invalidArgument')) return undefined;
    throw error;
  }
}
