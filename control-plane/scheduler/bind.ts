/**
 * Bindings as transactions. A binding writes spec.nodeName, the pod's address and the PodScheduled condition, and takes
 * the address's key, all compared with the pod's mod revision, the key's absence and the leader's term (write-parts.ts).
 * That of a pod that must not run twice compares its Node as well (fenced-bindings.ts).
 */
import { timestamp } from '../../lib/clock.ts';
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { encodeObject } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { absent, modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { Condition, Node, Pod } from '../../proto/gen/types.ts';
import type { Part } from './write-parts.ts';

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

export function bindingPart(bound: Pod): Part<Pod> {
  const addressKeys = allocationKeysOf(bound);
  const key = keyOf(bound);
  const uid = Buffer.from(bound.metadata.uid!);
  return {
    of: bound,
    compare: [modRevisionIs(key, revisionOf(bound)), ...addressKeys.map(absent)],
    success: [putOf(key, encodeObject(bound)), ...addressKeys.map((addressKey) => putOf(addressKey, uid))],
  };
}
