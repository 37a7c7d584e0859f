/**
 * The scheduler's decision: pending pods and what is known of the nodes in, bindings and reasons out. Pure but for the
 * strategy's state (turn, chance).
 *
 * Identical pods are one equivalence class: the nodes are filtered once for the class, then its pods are placed from
 * the strategy's index, each placement reserved before the next. Between classes the higher priority goes first, then the
 * older: a class is served when its oldest pod's turn has come. A pod that fits nowhere may make room (preempt.ts) and
 * holds it against those that come after it.
 */
import { priorityOf } from '../../lib/model/priority.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { evictionRound, type PodPreemption } from './eviction-round.ts';
import { dynamicFilters, verdict } from './filters.ts';
import { allRepellents, type Neighbourhood, neighbourhood, type Repellent, repellentsOf } from './neighbourhood.ts';
import { type NodeInfo, reserve, workloadOf } from './node-info.ts';
import type { Budget } from './preempt.ts';
import { type PodClass, type StrategyName, type StrategyState, strategyFor } from './strategies.ts';

export interface Binding {
  readonly pod: Pod;
  readonly node: Node;
}

export interface Unschedulable {
  readonly pod: Pod;
  /** "0/3 nodes fit: 2 insufficient memory, 1 cordoned". */
  readonly message: string;
}

export interface Decision {
  readonly bindings: readonly Binding[];
  readonly unschedulable: readonly Unschedulable[];
  /** For pods that are among the unschedulable, too: they wait until the victims have gone. */
  readonly preemptions: readonly PodPreemption[];
}

export interface ScheduleOptions {
  readonly defaultStrategy: StrategyName;
  readonly state: StrategyState;
  /** Default: none. */
  readonly budgets?: readonly Budget[];
}

/** `infos` is used up: placements and reservations are kept in it. */
export function schedule(pending: readonly Pod[], infos: readonly NodeInfo[], options: ScheduleOptions): Decision {
  const bindings: Binding[] = [];
  const unschedulable: Unschedulable[] = [];
  const preemptions: PodPreemption[] = [];
  const repellents = allRepellents(infos);
  const eviction = evictionRound(infos, options.budgets ?? []);
  for (const pods of classesOf(pending)) {
    const decision = placeClass(pods, infos, repellents, options);
    for (const { pod, node } of decision.bindings) repellents.push(...repellentsOf(pod, node));
    bindings.push(...decision.bindings);
    for (const entry of decision.unschedulable) {
      const { node, preemption } = eviction(entry.pod);
      if (preemption) preemptions.push(preemption);
      if (node) repellents.push(...repellentsOf(entry.pod, node));
      const message = node ? `${entry.message}; ${waitsFor(node)}` : entry.message;
      unschedulable.push({ pod: entry.pod, message });
    }
  }
  return { bindings, unschedulable, preemptions };
}

const waitsFor = ({ metadata }: Node): string => `waiting for pods to leave ${metadata.name}`;

function placeClass(
  pods: readonly Pod[],
  infos: readonly NodeInfo[],
  repellents: readonly Repellent[],
  { defaultStrategy, state }: ScheduleOptions,
): Omit<Decision, 'preemptions'> {
  const [first] = pods as [Pod, ...Pod[]];
  const neighbours = neighbourhood(first, infos, repellents);
  const podClass: PodClass = {
    pod: first,
    workload: workloadOf(first),
    neighbours,
    hasRoom: (info) => verdict(first, info, dynamicFilters) === undefined,
  };
  const candidates = infos.filter((info) => verdict(first, info) === undefined);
  const picker = strategyFor(first, defaultStrategy).picker(podClass, candidates, state);
  const bindings: Binding[] = [];
  for (const [index, pod] of pods.entries()) {
    const info = picker.pick();
    if (!info) {
      const message = explain(first, infos, neighbours);
      return { bindings, unschedulable: pods.slice(index).map((left) => ({ pod: left, message })) };
    }
    reserve(info, pod);
    neighbours.placed(info);
    picker.placed(info);
    bindings.push({ pod, node: info.node });
  }
  return { bindings, unschedulable: [] };
}

export interface NodeVerdict {
  readonly nodeName: string;
  /** Absent: the pod fits. */
  readonly reason?: string;
}

/** What each node says to the pod. */
export function verdicts(pod: Pod, infos: readonly NodeInfo[], known?: Neighbourhood): NodeVerdict[] {
  const neighbours = known ?? neighbourhood(pod, infos, allRepellents(infos));
  return infos.map((info) => {
    const reason = verdict(pod, info) ?? neighbours.check(info);
    return { nodeName: info.name, ...(reason !== undefined && { reason }) };
  });
}

/** Why no node takes the pod, node counts by reason, the most frequent first. */
export function explain(pod: Pod, infos: readonly NodeInfo[], neighbours?: Neighbourhood): string {
  if (infos.length === 0)
    return '0/0 nodes fit: the cluster has no nodes; join one with a token from `ctl token create`';
  const counts = new Map<string, number>();
  let fitting = 0;
  for (const { reason } of verdicts(pod, infos, neighbours)) {
    if (reason === undefined) fitting += 1;
    else counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const reasons = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return `${fitting}/${infos.length} nodes fit: ${reasons.map(([reason, count]) => `${count} ${reason}`).join(', ')}`;
}

/** Everything of a pod that a filter or a strategy reads. Pods with equal keys are interchangeable. */
function classKey(pod: Pod): string {
  const { metadata, spec, status } = pod;
  const resources = [...spec.containers, ...(spec.initContainers ?? [])].map((container) => container.resources);
  const ports = spec.containers.flatMap((container) => container.ports ?? []).filter((port) => port.hostPort);
  return JSON.stringify([
    workloadOf(pod),
    spec.schedulerName,
    spec.nodeSelector,
    spec.tolerations,
    resources,
    spec.initContainers?.length,
    spec.hostNetwork ? spec.containers.map((container) => container.ports) : ports,
    spec.hostNetwork,
    spec.affinity,
    spec.topologySpreadConstraints,
    spec.priority,
    spec.preemptionPolicy,
    status?.nominatedNodeName,
    // Whom the pods of others attract or repel goes by namespace and labels.
    metadata.namespace,
    metadata.labels,
  ]);
}

function classesOf(pending: readonly Pod[]): Iterable<Pod[]> {
  const classes = new Map<string, Pod[]>();
  for (const pod of [...pending].sort(byTurn)) {
    const key = classKey(pod);
    const members = classes.get(key);
    if (members) members.push(pod);
    else classes.set(key, [pod]);
  }
  return classes.values();
}

/** Higher priorities first, among equals those for whom room is being made, then the oldest. */
function byTurn(a: Pod, b: Pod): number {
  const nominated = (pod: Pod): number => (pod.status?.nominatedNodeName ? 1 : 0);
  return priorityOf(b) - priorityOf(a) || nominated(b) - nominated(a) || byAge(a, b);
}

function byAge(a: Pod, b: Pod): number {
  const [timeA, timeB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

export function isPending(pod: Pod): boolean {
  return (
    pod.spec.nodeName === undefined &&
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status?.phase ?? 'Pending') === 'Pending'
  );
}
