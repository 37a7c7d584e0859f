/** `ctl describe pod`. Pure. */
import { findCondition } from '../../../lib/model/conditions.ts';
import { isReadyTaken } from '../../../lib/model/pods.ts';
import type { Container, ContainerStatus, ExplainPendingResponse, Pod } from '../../../proto/gen/types.ts';
import { shortDuration } from '../age.ts';
import { containerLines } from './container.ts';
import { annotationsField, conditionLines, controlledBy, labelsField, none, timeText } from './lines.ts';
import { placementLines, volumeLines } from './template.ts';

export function podLines(pod: Pod, nowMs: number): string[] {
  const { metadata, spec, status } = pod;
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    ...(spec.priority === undefined ? [] : [`Priority:\t${spec.priority}`]),
    ...(spec.priorityClassName ? [`Priority Class Name:\t${spec.priorityClassName}`] : []),
    `Node:\t${spec.nodeName ? `${spec.nodeName}/${status?.hostIP ?? ''}` : none}`,
    ...(status?.startTime ? [`Start Time:\t${timeText(status.startTime)}`] : []),
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    ...stateLines(pod, nowMs),
    `IP:\t${status?.podIP ?? ''}`,
    ...ipLines(pod),
    ...controlledBy(pod),
    ...(status?.nominatedNodeName ? [`NominatedNodeName:\t${status.nominatedNodeName}`] : []),
    ...containersSection('Init Containers', spec.initContainers, status?.initContainerStatuses, pod),
    ...containersSection('Containers', spec.containers, status?.containerStatuses, pod),
    ...conditionLines(status?.conditions, false),
    ...volumeLines(spec.volumes, 2),
    ...(status?.qosClass ? [`QoS Class:\t${status.qosClass}`] : []),
    ...placementLines(spec),
  ];
}

/** Of a pod that is on no node. */
export function verdictLines({ nodes = [], summary = '' }: ExplainPendingResponse): string[] {
  const lines = nodes.map(({ nodeName = '', reason = 'fits' }) => `  ${nodeName}:\t${reason}`);
  return [`Scheduling:\t${summary}`, ...lines];
}

function stateLines(pod: Pod, nowMs: number): string[] {
  const { metadata, spec, status } = pod;
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  const state = deletionTimestamp
    ? [
        `Status:\tTerminating (lasts ${shortDuration(nowMs - Date.parse(deletionTimestamp))})`,
        `Termination Grace Period:\t${deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 0}s`,
      ]
    : [`Status:\t${status?.phase ?? 'Pending'}`];
  const { reason, message } = whyOf(pod);
  return [...state, ...(reason ? [`Reason:\t${reason}`] : []), ...(message ? [`Message:\t${message}`] : [])];
}

/** The pod's own reason; else that its node is lost; for one that is on no node yet, the scheduler's: events may be long gone. */
function whyOf(pod: Pod): { readonly reason?: string | undefined; readonly message?: string | undefined } {
  const { status } = pod;
  if (status?.reason || status?.message) return status;
  if (isReadyTaken(pod)) return findCondition(status?.conditions, 'Ready') ?? {};
  const scheduled = findCondition(status?.conditions, 'PodScheduled');
  return scheduled?.status === 'False' ? scheduled : {};
}

function ipLines({ status }: Pod): string[] {
  const ips = status?.podIPs ?? [];
  return ips.length === 0 ? [`IPs:\t${none}`] : ['IPs:', ...ips.map(({ ip }) => `  IP:\t${ip}`)];
}

function containersSection(
  name: string,
  containers: readonly Container[] | undefined,
  statuses: readonly ContainerStatus[] | undefined,
  pod: Pod,
): string[] {
  if (!containers || containers.length === 0) return [];
  const statusOf = (container: Container) => statuses?.find((status) => status.name === container.name);
  return [`${name}:`, ...containers.flatMap((container) => containerLines(container, statusOf(container), pod))];
}
