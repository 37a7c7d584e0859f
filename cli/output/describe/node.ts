/** `ctl describe node`: its state, and what the pods on it ask for. Pure. */
import { conditionStatus } from '../../../lib/model/conditions.ts';
import { isOutOfService, withdrawalHint } from '../../../lib/model/fencing.ts';
import { isPodFinished } from '../../../lib/model/pods.ts';
import { cpuMillis, wholeUnits } from '../../../lib/model/quantity.ts';
import type { Node, Pod } from '../../../proto/gen/types.ts';
import { age } from '../age.ts';
import { nodeRoles } from '../columns.ts';
import { annotationsField, indented, labelsField, listField, tableLines, timeText } from './lines.ts';

export function nodeLines(node: Node, pods: readonly Pod[], nowMs: number): string[] {
  const { metadata, spec, status } = node;
  const own = pods.filter((pod) => pod.spec.nodeName === metadata.name && !isPodFinished(pod));
  const taints = (spec.taints ?? []).map(({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`);
  return [
    `Name:\t${metadata.name}`,
    `Roles:\t${nodeRoles(node)}`,
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}`,
    ...listField('Taints', taints),
    `Unschedulable:\t${spec.unschedulable ?? false}`,
    ...outOfServiceLines(node),
    ...conditionTable(node),
    'Addresses:',
    ...indented((status?.addresses ?? []).map(({ type, address }) => `${type}:\t${address}`)),
    ...amounts('Capacity', status?.capacity),
    ...amounts('Allocatable', status?.allocatable),
    ...systemInfo(node),
    ...(spec.podCIDR ? [`PodCIDR:\t${spec.podCIDR}`] : []),
    ...podTable(node, own, nowMs),
    ...totals(node, own),
  ];
}

function outOfServiceLines(node: Node): string[] {
  if (!isOutOfService(node)) return [];
  const isBack = conditionStatus(node.status?.conditions, 'Ready') === 'True';
  return [`Out Of Service:\t${isBack ? withdrawalHint(node) : 'true'}`];
}

/** Gantry's leader keeps heartbeats in memory: their time is shown only of conditions that have one. */
function conditionTable({ status }: Node): string[] {
  const conditions = status?.conditions ?? [];
  const withHeartbeat = conditions.some(({ lastHeartbeatTime }) => lastHeartbeatTime !== undefined);
  const heartbeat = (text: string): string[] => (withHeartbeat ? [text] : []);
  const header = ['Type', 'Status', ...heartbeat('LastHeartbeatTime'), 'LastTransitionTime', 'Reason', 'Message'];
  const rows = conditions.map(({ type, status: value, lastHeartbeatTime, lastTransitionTime, reason, message }) => [
    type,
    value,
    ...heartbeat(timeText(lastHeartbeatTime)),
    timeText(lastTransitionTime),
    reason ?? '',
    message ?? '',
  ]);
  return ['Conditions:', ...tableLines(header, rows)];
}

function amounts(name: string, record: Readonly<Record<string, string>> | undefined): string[] {
  const entries = Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return [`${name}:`, ...indented(entries.map(([key, value]) => `${key}:\t${value}`))];
}

function systemInfo({ status }: Node): string[] {
  const info = status?.nodeInfo ?? {};
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Machine ID', info.machineID],
    ['Boot ID', info.bootID],
    ['Kernel Version', info.kernelVersion],
    ['OS Image', info.osImage],
    ['Operating System', info.operatingSystem],
    ['Architecture', info.architecture],
    ['Container Runtime Version', info.containerRuntimeVersion],
    ['Kubelet Version', info.kubeletVersion],
  ];
  return ['System Info:', ...indented(rows.map(([name, value = '']) => `${name}:\t${value}`))];
}

type Amounts = { readonly requests: number; readonly limits: number };
const resources = ['cpu', 'memory'] as const;
type Resource = (typeof resources)[number];

function amountOf(resource: Resource, text: string | undefined): number {
  if (text === undefined) return 0;
  return resource === 'cpu' ? cpuMillis(text) : wholeUnits(text);
}

/** What the scheduler counts: containers together, or the largest init container. */
export function podAmounts({ spec }: Pod, resource: Resource): Amounts {
  const of = (kind: 'requests' | 'limits'): number => {
    const amount = (container: (typeof spec.containers)[number]): number =>
      amountOf(resource, container.resources?.[kind]?.[resource]);
    const together = spec.containers.reduce((sum, container) => sum + amount(container), 0);
    return Math.max(together, ...(spec.initContainers ?? []).map(amount));
  };
  return { requests: of('requests'), limits: of('limits') };
}

function podTable(node: Node, pods: readonly Pod[], nowMs: number): string[] {
  const header = ['Namespace', 'Name', 'CPU Requests', 'CPU Limits', 'Memory Requests', 'Memory Limits', 'Age'];
  const rows = pods.map((pod) => [
    pod.metadata.namespace ?? '',
    pod.metadata.name,
    ...resources.flatMap((resource) => amountTexts(node, resource, podAmounts(pod, resource))),
    age(pod.metadata.creationTimestamp, nowMs),
  ]);
  return [`Non-terminated Pods:\t(${pods.length} in total)`, ...tableLines(header, rows)];
}

function totals(node: Node, pods: readonly Pod[]): string[] {
  const rows = resources.map((resource) => {
    const each = pods.map((pod) => podAmounts(pod, resource));
    const sum = each.reduce(
      (total, { requests, limits }) => ({ requests: total.requests + requests, limits: total.limits + limits }),
      { requests: 0, limits: 0 },
    );
    return [resource, ...amountTexts(node, resource, sum)];
  });
  return [
    'Allocated resources:',
    '  (Total limits may be over 100 percent, i.e., overcommitted.)',
    ...tableLines(['Resource', 'Requests', 'Limits'], rows),
  ];
}

function amountTexts({ status }: Node, resource: Resource, { requests, limits }: Amounts): [string, string] {
  const all = amountOf(resource, status?.allocatable?.[resource]);
  const text = (amount: number): string => {
    const part = all === 0 ? 0 : Math.floor((amount / all) * 100);
    return `${resource === 'cpu' ? cpuText(amount) : bytesText(amount)} (${part}%)`;
  };
  return [text(requests), text(limits)];
}

function cpuText(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`;
}

/** The largest binary unit that keeps the number whole. */
export function bytesText(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti'];
  let amount = bytes;
  let unit = 0;
  while (amount !== 0 && amount % 1024 === 0 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${amount}${units[unit]}`;
}
