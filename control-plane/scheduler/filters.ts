/**
 * Filters: can this pod run on this node? Each answers nothing, or a reason in the words that a pending pod shows
 * ("0/3 nodes fit: 2 insufficient memory, 1 cordoned"). To add one, write it here and name it in `filters`.
 *
 * A filter whose answer depends only on the node and the pod's spec is `static`: for identical pods it is asked once.
 * The others depend on what is already placed on the node and are asked again after every placement.
 * What depends on pods of other nodes as well (pod affinity, topology spread) is in neighbourhood.ts.
 */
import type { Pod, Taint, Toleration } from '../../proto/gen/types.ts';
import { requiredNodeAffinityHolds } from './node-affinity.ts';
import type { NodeInfo } from './node-info.ts';
import { hostPortsCollide, requestsOf } from './requests.ts';

export interface Filter {
  readonly name: string;
  readonly static: boolean;
  check(pod: Pod, info: NodeInfo): string | undefined;
}

const ready: Filter = {
  name: 'Ready',
  static: true,
  check: (_pod, info) => (info.ready ? undefined : 'not ready'),
};

const unschedulable: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Cordoned counts as a taint, which the pods of DaemonSets tolerate. */
/** A node that runs out of something is given no more that would take of it. */
const pressure: Filter = {
  name: 'Pressure',
  static: true,
  check(pod, { node }) {
    const conditions = node.status?.conditions ?? [];
    const under = (type: string): boolean =>
      conditions.some((condition) => condition.type === type && condition.status === 'True');
    if (under('DiskPressure')) return 'under disk pressure';
    if (under('PIDPressure')) return 'under process id pressure';
    return under('MemoryPressure') && requestsOf(pod).memoryBytes === 0 ? 'under memory pressure' : undefined;
  },
};

const schedulable: Filter = {
  name: 'Schedulable',
  static: true,
  check: (pod, { node }) =>
    node.spec.unschedulable && !tolerates(pod.spec.tolerations ?? [], unschedulable) ? 'cordoned' : undefined,
};

const nodeSelector: Filter = {
  name: 'NodeSelector',
  static: true,
  check(pod, { node }) {
    const missing = Object.entries(pod.spec.nodeSelector ?? {}).find(
      ([key, value]) => node.metadata.labels?.[key] !== value,
    );
    return missing && `without label ${missing[0]}=${missing[1]}`;
  },
};

const nodeAffinity: Filter = {
  name: 'NodeAffinity',
  static: true,
  check: (pod, { node }) => (requiredNodeAffinityHolds(pod, node) ? undefined : 'not matching node affinity'),
};

/** The lifecycle taints of a node that is not ready are reported by the Ready filter already. */
const taints: Filter = {
  name: 'Taints',
  static: true,
  check(pod, { node }) {
    const taint = (node.spec.taints ?? []).find(
      (candidate) => candidate.effect !== 'PreferNoSchedule' && !tolerates(pod.spec.tolerations ?? [], candidate),
    );
    return taint && `with untolerated taint ${taint.key}${taint.value ? `=${taint.value}` : ''}:${taint.effect}`;
  },
};

export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(
    ({ key, operator = 'Equal', value = '', effect }) =>
      (!effect || effect === taint.effect) &&
      (operator === 'Exists' ? !key || key === taint.key : key === taint.key && value === (taint.value ?? '')),
  );
}

const podCount: Filter = {
  name: 'PodCount',
  static: false,
  check: (_pod, info) => (info.podCount < info.allocatable.pods ? undefined : 'too many pods'),
};

const cpu: Filter = {
  name: 'Cpu',
  static: false,
  check(pod, info) {
    const { cpuMillis } = requestsOf(pod);
    return cpuMillis > 0 && info.requestedCpuMillis + cpuMillis > info.allocatable.cpuMillis
      ? 'insufficient cpu'
      : undefined;
  },
};

const memory: Filter = {
  name: 'Memory',
  static: false,
  check(pod, info) {
    const { memoryBytes } = requestsOf(pod);
    return memoryBytes > 0 && info.requestedMemoryBytes + memoryBytes > info.allocatable.memoryBytes
      ? 'insufficient memory'
      : undefined;
  },
};

const hostPorts: Filter = {
  name: 'HostPorts',
  static: false,
  check(pod, info) {
    const taken = requestsOf(pod).hostPorts.find((wanted) =>
      [...info.hostPorts].some((used) => hostPortsCollide(wanted, used)),
    );
    return taken && `with host port ${taken.split('/')[2]} taken`;
  },
};

/** In the order of explanation: the first reason is the one that counts for a node. */
export const filters: readonly Filter[] = [
  ready,
  pressure,
  schedulable,
  nodeSelector,
  nodeAffinity,
  taints,
  podCount,
  cpu,
  memory,
  hostPorts,
];
export const dynamicFilters = filters.filter((filter) => !filter.static);

/** Why the pod cannot run there, or undefined when it can. */
export function verdict(pod: Pod, info: NodeInfo, wanted: readonly Filter[] = filters): string | undefined {
  for (const filter of wanted) {
    const reason = filter.check(pod, info);
    if (reason !== undefined) return reason;
  }
  return undefined;
}
