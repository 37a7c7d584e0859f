/** Where a volume can be used. Pure. */
import type { Node, NodeSelector, PersistentVolume } from '../../proto/gen/types.ts';
import { requiredNodeAffinityHolds } from '../scheduler/node-affinity.ts';

export const hostnameLabel = 'kubernetes.io/hostname';

export function isVolumeOn({ spec }: PersistentVolume, node: Node): boolean {
  return isUsableOn(spec.nodeAffinity?.required, node);
}

/** `required` of its nodeAffinity; a volume without any can be used everywhere. */
export function isUsableOn(required: NodeSelector | undefined, node: Node): boolean {
  if (!required) return true;
  const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: required };
  return requiredNodeAffinityHolds({ spec: { containers: [], affinity: { nodeAffinity } } }, node);
}
