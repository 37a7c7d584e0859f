/**
 * Filters: can this pod run on this node? Each answers nothing, or a reason in the words that a pending pod shows
 * ("0/3 nodes fit: 2 insufficient memory, 1 cordoned"). To add one, write it here and name it in `filters`; README.md
 * shows how.
 *
 * A filter looks at the pod once (`checkFor`) and then answers for any number of nodes. One whose answer depends only on
 * the node itself and on a part of the pod says which part (`reads`): its answers are remembered for all pods that have
 * the same. The others depend on what is already placed on the node and are asked again after every placement.
 * What depends on pods of other nodes as well (pod affinity, topology spread) is in neighbourhood.ts.
 */
import { withdrawalHint } from '../../lib/model/fencing.ts';
import { amountText } from '../../lib/model/resource-amounts.ts';
import { isTolerated } from '../../lib/model/tolerations.ts';
import type { Pod, Taint } from '../../proto/gen/types.ts';
import { requiredNodeAffinityHolds } from './node-affinity.ts';
import type { NodeInfo } from './node-info.ts';
import { hostPortsCollide, requestsOf } from './requests.ts';
import { volumeDetail } from './volume-detail.ts';
import { volumeCheck, volumeTerms } from './volumes.ts';

/** Why the pod cannot run on the node, or undefined when it can. */
export type Check = (info: NodeInfo) => string | undefined;

export interface Filter {
  readonly name: string;
  /** Present: the answer depends on the node's own fields and on this, and on nothing else. Plain data. */
  readonly reads?: (pod: Pod) => unknown;
  /** Undefined: it has nothing against any node. */
  checkFor(pod: Pod): Check | undefined;
  /** For who looks at a node that it refuses: what is missing ("needs 500m, 120m of 2 free"). */
  shortage?(pod: Pod, info: NodeInfo): string;
  /** For the same: more than the reason says, of nodes that it refuses. Looks once at the pod and at all nodes. */
  detailFor?(pod: Pod, infos: readonly NodeInfo[]): Check;
}

const ready: Filter = {
  name: 'Ready',
  reads: () => null,
  checkFor: () => (info) => (info.ready ? undefined : 'not ready'),
};

/** It may have finalizers, and stay for a while. */
const leaving: Filter = {
  name: 'Leaving',
  reads: () => null,
  checkFor: () => (info) => (info.node.metadata.deletionTimestamp === undefined ? undefined : 'being deleted'),
};

/** A node that runs out of something is given no more that would take of it. */
const pressure: Filter = {
  name: 'Pressure',
  reads: (pod) => requestsOf(pod).memoryBytes === 0,
  checkFor(pod) {
    const promisesMemory = requestsOf(pod).memoryBytes > 0;
    return ({ node }) => {
      const conditions = node.status?.conditions ?? [];
      const under = (type: string): boolean =>
        conditions.some((condition) => condition.type === type && condition.status === 'True');
      if (under('DiskPressure')) return 'under disk pressure';
      if (under('PIDPressure')) return 'under process id pressure';
      return under('MemoryPressure') && !promisesMemory ? 'under memory pressure' : undefined;
    };
  },
};

const unschedulable: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Cordoned counts as a taint, which the pods of DaemonSets tolerate. */
const schedulable: Filter = {
  name: 'Schedulable',
  reads: ({ spec }) => isTolerated(unschedulable, spec.tolerations),
  checkFor: ({ spec }) =>
    isTolerated(unschedulable, spec.tolerations)
      ? undefined
      : ({ node }) => (node.spec.unschedulable ? 'cordoned' : undefined),
};

export const nodeSelector: Filter = {
  name: 'NodeSelector',
  reads: ({ spec }) => spec.nodeSelector,
  checkFor({ spec }) {
    const wanted = Object.entries(spec.nodeSelector ?? {});
    if (wanted.length === 0) return undefined;
    return ({ node }) => {
      const missing = wanted.find(([key, value]) => node.metadata.labels?.[key] !== value);
      return missing && `without label ${missing[0]}=${missing[1]}`;
    };
  },
};

export const nodeAffinity: Filter = {
  name: 'NodeAffinity',
  reads: ({ spec }) => spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution,
  checkFor: (pod) =>
    pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution &&
    (({ node }) => (requiredNodeAffinityHolds(pod, node) ? undefined : 'not matching node affinity')),
};

/** The lifecycle taints of a node that is not ready are reported by the Ready filter already. */
const taints: Filter = {
  name: 'Taints',
  reads: ({ spec }) => spec.tolerations,
  checkFor:
    ({ spec }) =>
    ({ node }) => {
      const taint = (node.spec.taints ?? []).find(
        (candidate) => candidate.effect !== 'PreferNoSchedule' && !isTolerated(candidate, spec.tolerations),
      );
      return taint && `with untolerated taint ${taint.key}${taint.value ? `=${taint.value}` : ''}:${taint.effect}`;
    },
  detailFor:
    () =>
    ({ node, ready }) =>
      ready ? withdrawalHint(node) : undefined,
};

const podCount: Filter = {
  name: 'PodCount',
  checkFor: () => (info) => (info.podCount < info.allocatable.pods ? undefined : 'too many pods'),
  shortage: (_pod, info) => `${info.podCount} of ${info.allocatable.pods}`,
};

/** What is needed is told exactly, what is free never as more than there is. */
function shortageText(resource: 'cpu' | 'memory', needed: number, used: number, allocatable: number): string {
  const whole = (amount: number): number =>
    resource === 'memory' && amount > mebibyte ? amount - (amount % mebibyte) : amount;
  const free = amountText(resource, whole(Math.max(0, allocatable - used)));
  return `needs ${amountText(resource, needed)}, ${free} of ${amountText(resource, whole(allocatable))} free`;
}

const mebibyte = 1024 * 1024;

/** A pod of the host's network has the node's address, of which there is always one more. */
const podAddresses: Filter = {
  name: 'PodAddresses',
  checkFor({ spec }) {
    if (spec.hostNetwork) return undefined;
    return ({ addresses, addressesTaken, node }) => {
      if (addressesTaken < addresses) return undefined;
      return node.spec.podCIDR
        ? `without a free pod address in ${node.spec.podCIDR}`
        : 'without a range of pod addresses';
    };
  },
};

const cpu: Filter = {
  name: 'Cpu',
  checkFor(pod) {
    const { cpuMillis } = requestsOf(pod);
    if (cpuMillis === 0) return undefined;
    return (info) =>
      info.requestedCpuMillis + cpuMillis > info.allocatable.cpuMillis ? 'insufficient cpu' : undefined;
  },
  shortage: (pod, { requestedCpuMillis, allocatable }) =>
    shortageText('cpu', requestsOf(pod).cpuMillis, requestedCpuMillis, allocatable.cpuMillis),
};

const memory: Filter = {
  name: 'Memory',
  checkFor(pod) {
    const { memoryBytes } = requestsOf(pod);
    if (memoryBytes === 0) return undefined;
    return (info) =>
      info.requestedMemoryBytes + memoryBytes > info.allocatable.memoryBytes ? 'insufficient memory' : undefined;
  },
  shortage: (pod, { requestedMemoryBytes, allocatable }) =>
    shortageText('memory', requestsOf(pod).memoryBytes, requestedMemoryBytes, allocatable.memoryBytes),
};

const hostPorts: Filter = {
  name: 'HostPorts',
  checkFor(pod) {
    const { hostPorts: wanted } = requestsOf(pod);
    if (wanted.length === 0) return undefined;
    return (info) => {
      const used = [...info.hostPorts.keys()];
      const taken = wanted.find((port) => used.some((other) => hostPortsCollide(port, other)));
      return taken && `with host port ${taken.split('/')[2]} taken`;
    };
  },
};

/** Where the pod's claims can be used: volumes.ts. */
const volumes: Filter = {
  name: 'Volumes',
  reads: volumeTerms,
  checkFor(pod) {
    const check = volumeCheck(pod);
    return check && (({ node }) => check(node));
  },
  detailFor(pod, infos) {
    const detail = volumeDetail(
      pod,
      infos.map(({ node }) => node),
    );
    return ({ node }) => detail(node);
  },
};

/** In the order of explanation: the first reason is the one that counts for a node. */
export const filters: readonly Filter[] = [
  ready,
  leaving,
  pressure,
  schedulable,
  nodeSelector,
  nodeAffinity,
  taints,
  volumes,
  podCount,
  podAddresses,
  cpu,
  memory,
  hostPorts,
];

export const isStatic = ({ reads }: Filter): boolean => reads !== undefined;

/** What the filters ask of nodes for this pod, those that have nothing to ask left out. */
export function checksFor(pod: Pod, wanted: readonly Filter[] = filters): readonly Check[] {
  return wanted.map((filter) => filter.checkFor(pod)).filter((check) => check !== undefined);
}

/** The first reason against the node, or undefined. */
export function firstReason(checks: readonly Check[], info: NodeInfo): string | undefined {
  for (const check of checks) {
    const reason = check(info);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Why the pod cannot run there, or undefined when it can. */
export function verdict(pod: Pod, info: NodeInfo, wanted: readonly Filter[] = filters): string | undefined {
  return firstReason(checksFor(pod, wanted), info);
}
