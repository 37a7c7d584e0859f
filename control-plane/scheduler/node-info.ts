/** A node with what is already promised on it. The scheduler reserves in here while it places, so that one pass never overcommits. */
import { cpuMillis, wholeUnits } from '../../lib/model/quantity.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { requestsOf } from './requests.ts';

export interface NodeInfo {
  readonly node: Node;
  readonly name: string;
  readonly ready: boolean;
  readonly allocatable: { readonly cpuMillis: number; readonly memoryBytes: number; readonly pods: number };
  /** Sums over the pods that are bound here and not finished, and those placed in this pass. */
  requestedCpuMillis: number;
  requestedMemoryBytes: number;
  podCount: number;
  readonly hostPorts: Set<string>;
  /** All of the above, one by one. */
  readonly pods: Pod[];
  /** Pods per workload (uid of the managing owner). */
  readonly podsOfWorkload: Map<string, number>;
}

export function nodeInfo(node: Node): NodeInfo {
  const allocatable = node.status?.allocatable ?? {};
  return {
    node,
    name: node.metadata.name,
    ready: (node.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True'),
    allocatable: {
      cpuMillis: cpuMillis(allocatable.cpu ?? '0'),
      memoryBytes: wholeUnits(allocatable.memory ?? '0'),
      pods: wholeUnits(allocatable.pods ?? '110'),
    },
    requestedCpuMillis: 0,
    requestedMemoryBytes: 0,
    podCount: 0,
    hostPorts: new Set(),
    pods: [],
    podsOfWorkload: new Map(),
  };
}

/** The same node without its pods. */
export function emptied(info: NodeInfo): NodeInfo {
  return {
    ...info,
    requestedCpuMillis: 0,
    requestedMemoryBytes: 0,
    podCount: 0,
    hostPorts: new Set(),
    pods: [],
    podsOfWorkload: new Map(),
  };
}

/** Finished pods hold nothing; a pod being deleted holds its place until the agent says that it is gone. */
export function holdsResources(pod: Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}

export function nodeInfos(nodes: readonly Node[], pods: Iterable<Pod>): NodeInfo[] {
  const byName = new Map(nodes.map((node) => [node.metadata.name, nodeInfo(node)]));
  for (const pod of pods) {
    const info = pod.spec.nodeName === undefined ? undefined : byName.get(pod.spec.nodeName);
    if (info && holdsResources(pod)) reserve(info, pod);
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function reserve(info: NodeInfo, pod: Pod): void {
  const requests = requestsOf(pod);
  info.requestedCpuMillis += requests.cpuMillis;
  info.requestedMemoryBytes += requests.memoryBytes;
  info.podCount += 1;
  info.pods.push(pod);
  for (const port of requests.hostPorts) info.hostPorts.add(port);
  const workload = workloadOf(pod);
  // A pod on its way out is no longer one of its workload's replicas.
  if (workload !== undefined && pod.metadata.deletionTimestamp === undefined) {
    info.podsOfWorkload.set(workload, (info.podsOfWorkload.get(workload) ?? 0) + 1);
  }
}

/** Replicas of one workload share the uid of their managing owner. */
export function workloadOf(pod: Pod): string | undefined {
  return pod.metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
}
