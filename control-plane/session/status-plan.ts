/**
 * What an agent's report does to the stored objects. Pure. One writer per field: of a pod the agent does not write
 * PodScheduled, podIP, podIPs and hostIP; of a node it does not write spec, nor the verdict on whether it is Ready
 * (only that it is not, when it says so itself).
 */
import { findCondition, setCondition } from '../../lib/model/conditions.ts';
import { isSame } from '../../lib/model/object.ts';
import { isPodFinished } from '../../lib/model/pods.ts';
import { messageType } from '../../lib/model/schema.ts';
import { sameUnknown, withUnknownOf } from '../../lib/model/unknown.ts';
import type { Condition, Node, NodeStatus, Pod, PodStatus, PodStatusUpdate } from '../../proto/gen/types.ts';

export type PodPlan =
  | { readonly type: 'put'; readonly pod: Pod }
  | { readonly type: 'remove'; readonly pod: Pod }
  /** With the reason, for the log. */
  | { readonly type: 'ignore'; readonly reason: string };

export function planPodUpdate(stored: Pod | undefined, update: PodStatusUpdate, nodeName: string): PodPlan {
  if (!stored) return { type: 'ignore', reason: 'the pod does not exist any more' };
  if (stored.metadata.uid !== update.uid) return { type: 'ignore', reason: 'another pod has the name now' };
  if (stored.spec.nodeName !== nodeName) return { type: 'ignore', reason: 'the pod is not bound to this node' };
  if (update.removed) return planRemoval(stored);
  if (!update.status) return { type: 'ignore', reason: 'the update carries no status' };
  if (isPodFinished(stored) && !isPodFinished({ ...stored, status: update.status })) {
    return { type: 'ignore', reason: `the pod is ${stored.status?.phase} and does not come back` };
  }
  const status = mergePodStatus(stored.status ?? {}, update.status);
  if (isSame(status, stored.status) && sameUnknown(status, stored.status))
    return { type: 'ignore', reason: 'nothing changed' };
  return { type: 'put', pod: { ...stored, status } };
}

function planRemoval(stored: Pod): PodPlan {
  if (!stored.metadata.deletionTimestamp) return { type: 'ignore', reason: 'nobody asked for its deletion' };
  if (stored.metadata.finalizers?.length) return { type: 'ignore', reason: 'finalizers hold it' };
  return { type: 'remove', pod: stored };
}

const scheduled = 'PodScheduled';

function mergePodStatus(stored: PodStatus, reported: PodStatus): PodStatus {
  const { podIP: _ip, podIPs: _ips, hostIP: _host, ...agentsPart } = reported;
  const { podIP, podIPs, hostIP } = stored;
  const binding = findCondition(stored.conditions, scheduled);
  const conditions = [
    ...(binding ? [binding] : []),
    ...(reported.conditions ?? []).filter((condition) => condition.type !== scheduled),
  ];
  const merged: PodStatus = {
    ...agentsPart,
    ...(conditions.length > 0 && { conditions }),
    ...(hostIP !== undefined && { hostIP }),
    ...(podIP !== undefined && { podIP }),
    ...(podIPs !== undefined && { podIPs }),
  };
  return withUnknownOf(messageType('PodStatus'), stored, merged);
}

/**
 * A busy agent is not a dead one: a thread beats for it. But one that is busy for so long does not look after its pods, nor
 * say how they are. Twenty leases: no work of an agent takes a thousandth of that at a time.
 */
export const agentStuckAfterMs = 60_000;

/** What the leader knows of a node beside what is stored. */
export interface NodeKnowledge {
  /** False: its lease is over. */
  readonly alive: boolean;
  /** What the agent said last in this session. */
  readonly reported?: NodeStatus;
  readonly labels?: Readonly<Record<string, string>>;
  readonly leaseMs: number;
  /** Its heartbeats come, but the agent itself has done nothing for too long. */
  readonly stuck?: boolean;
}

/** Undefined when the stored node says all that already. */
export function planNode(stored: Node, knowledge: NodeKnowledge, nowMs: number): Node | undefined {
  const labels = mergeLabels(stored.metadata.labels, knowledge.labels);
  const status = mergeNodeStatus(stored.status ?? {}, knowledge, nowMs);
  const sameStatus = isSame(status, stored.status) && sameUnknown(status, stored.status);
  const unchanged = sameStatus && isSame(labels, stored.metadata.labels);
  return unchanged ? undefined : { ...stored, metadata: { ...stored.metadata, ...(labels && { labels }) }, status };
}

function mergeNodeStatus(stored: NodeStatus, knowledge: NodeKnowledge, nowMs: number): NodeStatus {
  const { reported = {} } = knowledge;
  let conditions: readonly Condition[] = stored.conditions ?? [];
  for (const condition of reported.conditions ?? []) {
    if (condition.type !== 'Ready') conditions = setCondition(conditions, condition, nowMs);
  }
  const verdict = readyCondition(knowledge, findCondition(reported.conditions, 'Ready'));
  return { ...stored, ...reported, conditions: setCondition(conditions, verdict, nowMs) };
}

/** Reasons are Kubernetes' own, so that what reads them there reads them here. */
function readyCondition({ alive, leaseMs, stuck }: NodeKnowledge, own: Condition | undefined): Condition {
  if (!alive) {
    return {
      type: 'Ready',
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: `the node's agent has not been heard for ${leaseMs / 1000} s`,
    };
  }
  if (stuck) {
    const message = `the node's agent has done nothing for ${agentStuckAfterMs / 1000} s, though it beats; restart it if that lasts`;
    return { type: 'Ready', status: 'False', reason: 'AgentStuck', message };
  }
  if (own && own.status !== 'True') {
    const message = own.message ?? 'the agent says that its node is not ready';
    return { type: 'Ready', status: 'False', reason: own.reason ?? 'KubeletNotReady', message };
  }
  return { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'the node agent is in session' };
}

/** A prefix that only administrators may set, as in Kubernetes: workloads are kept apart by it. */
const restrictedPrefix = 'node-restriction.kubernetes.io/';

/** The agent speaks for the well-known labels; others it may add, but not change what a client has set. */
function mergeLabels(
  stored: Record<string, string> | undefined,
  reported: Readonly<Record<string, string>> = {},
): Record<string, string> | undefined {
  const own = Object.entries(reported).filter(([key]) => {
    const wellKnown = key.startsWith('kubernetes.io/') || key.startsWith('node.kubernetes.io/');
    return !key.startsWith(restrictedPrefix) && (wellKnown || stored?.[key] === undefined);
  });
  return own.length === 0 ? stored : { ...stored, ...Object.fromEntries(own) };
}
