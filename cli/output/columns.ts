/** What `ctl get` shows of each kind: kubectl's columns; name and age of a kind that has none here. Pure. */
import { outOfServiceTaint } from '../../lib/model/fencing.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { EndpointSlice, Event, KindMap, KubeObject, Node, Service } from '../../proto/gen/types.ts';
import { age } from './age.ts';
import { ageColumn, labelsText, nameColumn, none, templateColumns } from './column-parts.ts';
import { autoscalerColumns } from './columns-autoscaling.ts';
import {
  disruptionBudgetColumns,
  limitRangeColumns,
  priorityClassColumns,
  resourceQuotaColumns,
} from './columns-policy.ts';
import { claimColumns, persistentVolumeColumns, storageClassColumns } from './columns-storage.ts';
import {
  controllerRevisionColumns,
  cronJobColumns,
  daemonSetColumns,
  jobColumns,
  statefulSetColumns,
} from './columns-workloads.ts';
import { podState, readyCount, restarts } from './pod-state.ts';
import type { Column } from './table.ts';

export function columnsOf(kind: Kind, nowMs: number): readonly Column<KubeObject>[] {
  const columns: { readonly [K in Kind]?: readonly Column<KindMap[K]>[] } = {
    Pod: [
      nameColumn,
      { header: 'READY', cell: readyCount },
      { header: 'STATUS', cell: podState },
      { header: 'RESTARTS', cell: (pod) => restarts(pod, nowMs) },
      ageColumn(nowMs),
      { header: 'IP', wide: true, cell: ({ status }) => status?.podIP ?? none },
      { header: 'NODE', wide: true, cell: ({ spec }) => spec.nodeName ?? none },
    ],
    Node: [
      nameColumn,
      { header: 'STATUS', cell: nodeState },
      { header: 'ROLES', cell: nodeRoles },
      ageColumn(nowMs),
      { header: 'VERSION', cell: ({ status }) => status?.nodeInfo?.kubeletVersion ?? '' },
      { header: 'INTERNAL-IP', wide: true, cell: internalIP },
      { header: 'EXTERNAL-IP', wide: true, cell: () => none },
      { header: 'OS-IMAGE', wide: true, cell: ({ status }) => status?.nodeInfo?.osImage ?? '<unknown>' },
      { header: 'KERNEL-VERSION', wide: true, cell: ({ status }) => status?.nodeInfo?.kernelVersion ?? '<unknown>' },
      {
        header: 'CONTAINER-RUNTIME',
        wide: true,
        cell: ({ status }) => status?.nodeInfo?.containerRuntimeVersion ?? '<unknown>',
      },
    ],
    Deployment: [
      nameColumn,
      { header: 'READY', cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}` },
      { header: 'UP-TO-DATE', cell: ({ status }) => String(status?.updatedReplicas ?? 0) },
      { header: 'AVAILABLE', cell: ({ status }) => String(status?.availableReplicas ?? 0) },
      ageColumn(nowMs),
      ...templateColumns(),
    ],
    ReplicaSet: [
      nameColumn,
      { header: 'DESIRED', cell: ({ spec }) => String(spec.replicas ?? 1) },
      { header: 'CURRENT', cell: ({ status }) => String(status?.replicas ?? 0) },
      { header: 'READY', cell: ({ status }) => String(status?.readyReplicas ?? 0) },
      ageColumn(nowMs),
      ...templateColumns(),
    ],
    StatefulSet: statefulSetColumns(nowMs),
    DaemonSet: daemonSetColumns(nowMs),
    ControllerRevision: controllerRevisionColumns(nowMs),
    Job: jobColumns(nowMs),
    CronJob: cronJobColumns(nowMs),
    Service: [
      nameColumn,
      { header: 'TYPE', cell: ({ spec }) => spec.type ?? 'ClusterIP' },
      { header: 'CLUSTER-IP', cell: ({ spec }) => spec.clusterIP ?? none },
      { header: 'EXTERNAL-IP', cell: ({ spec }) => spec.externalName ?? none },
      { header: 'PORT(S)', cell: servicePorts },
      ageColumn(nowMs),
      { header: 'SELECTOR', wide: true, cell: ({ spec }) => labelsText(spec.selector) },
    ],
    EndpointSlice: [
      { header: 'NAME', cell: serviceNameOf },
      { header: 'ENDPOINTS', cell: endpointsText },
      ageColumn(nowMs),
    ],
    HorizontalPodAutoscaler: autoscalerColumns(nowMs),
    PersistentVolume: persistentVolumeColumns(nowMs),
    PersistentVolumeClaim: claimColumns(nowMs),
    StorageClass: storageClassColumns(nowMs),
    PodDisruptionBudget: disruptionBudgetColumns(nowMs),
    PriorityClass: priorityClassColumns(nowMs),
    ResourceQuota: resourceQuotaColumns(nowMs),
    LimitRange: limitRangeColumns,
    Namespace: [nameColumn, { header: 'STATUS', cell: ({ status }) => status?.phase ?? 'Active' }, ageColumn(nowMs)],
    ConfigMap: [
      nameColumn,
      { header: 'DATA', cell: ({ data, binaryData }) => String(countKeys(data) + countKeys(binaryData)) },
      ageColumn(nowMs),
    ],
    Secret: [
      nameColumn,
      { header: 'TYPE', cell: ({ type }) => type ?? 'Opaque' },
      { header: 'DATA', cell: ({ data }) => String(countKeys(data)) },
      ageColumn(nowMs),
    ],
    Event: [
      { header: 'LAST SEEN', cell: (event) => lastSeen(event, nowMs) },
      { header: 'TYPE', cell: ({ type }) => type ?? 'Normal' },
      { header: 'REASON', cell: ({ reason }) => reason ?? '' },
      { header: 'OBJECT', cell: eventObject },
      {
        header: 'SOURCE',
        wide: true,
        cell: ({ source }) => [source?.component, source?.host].filter(Boolean).join(', '),
      },
      { header: 'COUNT', wide: true, cell: ({ count }) => String(count ?? 1) },
      { header: 'MESSAGE', cell: ({ message }) => message ?? '' },
    ],
  };
  return (columns[kind] as readonly Column<KubeObject>[] | undefined) ?? [nameColumn, ageColumn(nowMs)];
}

/** `Ready`, `NotReady`, with `,SchedulingDisabled` when cordoned, and `,OutOfService` when somebody said so. */
export function nodeState({ spec, status }: Node): string {
  const ready = (status?.conditions ?? []).find(({ type }) => type === 'Ready');
  const word = ready?.status === 'True' ? 'Ready' : ready ? 'NotReady' : 'Unknown';
  const isOut = (spec.taints ?? []).some(({ key }) => key === outOfServiceTaint);
  return [word, ...(spec.unschedulable ? ['SchedulingDisabled'] : []), ...(isOut ? ['OutOfService'] : [])].join();
}

export function nodeRoles({ metadata }: Node): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith(prefix));
  return roles.map((key) => key.slice(prefix.length)).join(',') || none;
}

function internalIP({ status }: Node): string {
  return status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? none;
}

function servicePorts({ spec }: Service): string {
  const ports = (spec.ports ?? []).map(
    ({ port, nodePort, protocol = 'TCP' }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`,
  );
  return ports.join(',') || none;
}

export function serviceNameOf({ metadata }: EndpointSlice): string {
  return metadata.labels?.['kubernetes.io/service-name'] ?? metadata.name;
}

const shownEndpoints = 3;

export function endpointsText({ endpoints = [], ports = [] }: EndpointSlice): string {
  const ready = endpoints
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses ?? []);
  const pairs = ready.flatMap((address) =>
    ports.length === 0 ? [address] : ports.map(({ port }) => `${address}:${port}`),
  );
  if (pairs.length === 0) return none;
  const shown = pairs.slice(0, shownEndpoints).join(',');
  return pairs.length > shownEndpoints ? `${shown} + ${pairs.length - shownEndpoints} more...` : shown;
}

function lastSeen({ lastTimestamp, metadata }: Event, nowMs: number): string {
  return age(lastTimestamp ?? metadata.creationTimestamp, nowMs);
}

function eventObject({ involvedObject: { kind = '', name = '' } }: Event): string {
  return `${kind.toLowerCase()}/${name}`;
}

function countKeys(record: object | undefined): number {
  return Object.keys(record ?? {}).length;
}
