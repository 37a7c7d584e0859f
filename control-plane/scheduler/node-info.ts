/** A node, and what is promised on it by the pods that are bound to it or placed in the pass that is going on. */
import { cpuMillis, wholeUnits } from '../../lib/model/quantity.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { addressesOf } from '../network/pod-ips.ts';

export interface NodeInfo {
  readonly name: string;
  /** Position among all nodes, in the order of names; another one when nodes have come or gone. */
  index: number;
  /** The newest object, and what is read from it once. */
  node: Node;
  ready: boolean;
  allocatable: { readonly cpuMillis: number; readonly memoryBytes: number; readonly pods: number };
  /** How many pod addresses its range has; 0 without a range. */
  addresses: number;
  /** Sums over the pods that are here and not finished. */
  requestedCpuMillis: number;
  requestedMemoryBytes: number;
  podCount: number;
  /** Addresses are held until the pod is gone, finished or not. */
  addressesTaken: number;
  /** By entry (see requests.ts), how many pods have it. */
  readonly hostPorts: Map<string, number>;
  /** The pods that are here and not finished, one by one. */
  readonly pods: Pod[];
  /** Those that have finished and are still listed. */
  readonly finished: Pod[];
}

/** Without pods, and without a position. */
export function nodeInfo(node: Node): NodeInfo {
  return {
    name: node.metadata.name,
    index: -1,
    ...readNode(node),
    requestedCpuMillis: 0,
    requestedMemoryBytes: 0,
    podCount: 0,
    addressesTaken: 0,
    hostPorts: new Map(),
    pods: [],
    finished: [],
  };
}

export function readNode(node: Node): Pick<NodeInfo, 'node' | 'ready' | 'allocatable' | 'addresses'> {
  const allocatable = node.status?.allocatable ?? {};
  return {
    node,
    ready: (node.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True'),
    allocatable: {
      cpuMillis: cpuMillis(allocatable.cpu ?? '0'),
      memoryBytes: wholeUnits(allocatable.memory ?? '0'),
      pods: wholeUnits(allocatable.pods ?? '110'),
    },
    addresses: node.spec.podCIDR ? addressesOf(node.spec.podCIDR) : 0,
  };
}

/** Finished pods hold nothing; a pod being deleted holds its place until the agent says that it is gone. */
export function holdsResources(pod: Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}

/** Replicas of one workload share the uid of their managing owner. */
export function workloadOf(pod: Pod): string | undefined {
  return pod.metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
}
