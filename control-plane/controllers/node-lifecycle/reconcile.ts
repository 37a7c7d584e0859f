/**
 * Node lifecycle: what becomes of a node's pods when the node is lost, tainted or deleted.
 *
 * - Lost (Ready is Unknown; the session writes that): its pods are not Ready at once, so that endpoints and DNS drop them;
 *   each is deleted when its toleration ends (by default at once) and stays Terminating until its agent is back and has
 *   stopped it. Nothing else is touched when the node returns.
 * - Lost and declared out of service (a taint that a person sets): nothing runs there, so its pods are removed at once, and
 *   those that must not run twice (lib/model/fencing.ts) can be made elsewhere. Until then such pods stay as they are.
 * - Lost for longer than a pod of `stop-after` lives without contact: the node's watchdog has stopped it by now, and it is removed
 *   at once. How long it is lost the leader's sessions know, by their own clock; a new leader counts from its own begin.
 * - What removes a pod that must not run twice also compares and rewrites the node: when a session of the node has been opened
 *   meanwhile, which writes the node too, nothing is removed.
 * - Most nodes lost together: no pod is moved; an Event says so. In a large cluster their pods leave their services one node after
 *   the other, for it is more likely that nothing happened to them than that all of them died.
 * - Node object gone: its pods and their addresses go too, save those that must not run twice: they wait for a person, who is
 *   told. Only who writes past the API leaves such pods behind (control-plane/api/fencing.ts).
 * - Writes: node.kubernetes.io taints; pods' Ready condition when the node is lost; pods' deletionTimestamp.
 */
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import {
  fencingOf,
  isFenced,
  isOutOfService,
  mayRun,
  needsNode,
  nodeIsGone,
  replacementDelayMs,
  stopAfterMs,
} from '../../../lib/model/fencing.ts';
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { isPodFinished, isPodReady, nodeDeleted, nodeNotReady } from '../../../lib/model/pods.ts';
import type { Event, KubeObject, Node, Pod, Taint } from '../../../proto/gen/types.ts';
import { deletionOf } from '../../state/deletion.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { batchOf } from '../batch.ts';
import { hasLeftServices, Pauses } from './disruption.ts';
import { bearsOutOfService, isLost, leaveAtMs, notReadyTaint, taintsFor, unreachableTaint } from './taints.ts';

type NodeEvent = NonNullable<ReconcileResult['events']>[number];

const mostPerTransaction = 100;
/**
 * The sessions' verdict on silence is not an object whose change would call us. Thousands that are held back are looked at so
 * seldom that it takes a small part of the leader's time, which it needs to have them back.
 */
const recheckMs = (nodes: number): number => 1_000 + 2 * nodes;
const pausedReason = 'EvictionsPaused';
/** The sessions' clock is not ours, and a session may be open: we look again. */
const lostRecheckMs = 250;
const mostRemovals = 50; // a pod's address goes with it

/** What the leader's sessions know, which is in no object. */
export interface SessionKnowledge {
  /** So many nodes fall silent that nothing should be moved. */
  readonly evictionsPaused: () => boolean;
  /** Since the node's lease ended; undefined while it is not lost. */
  readonly lostForMs: number | undefined;
}

export function reconcileNode(
  snapshot: Snapshot,
  node: Node,
  nowMs: number,
  { evictionsPaused, lostForMs }: SessionKnowledge,
  pauses: Pauses = new Pauses(),
): ReconcileResult {
  const taints = taintsFor(node, nowMs);
  const lost = isLost(node);
  const declared = lost && isOutOfService(node) && lostForMs !== undefined;
  // Of a node without pods nothing would be moved, and thousands of nodes may join in a row.
  const holdsPods = snapshot.podsOnNode(node.metadata.name).length > 0;
  const paused = lost && holdsPods ? pauses.why(node, snapshot.list('Node'), evictionsPaused, nowMs) : undefined;
  const changes: Change[] = [];
  const events: NodeEvent[] = [];
  const delays: number[] = paused === undefined ? [] : [recheckMs(snapshot.list('Node').length)];
  if (lost && isOutOfService(node) && !declared) delays.push(lostRecheckMs);
  if (!isSame(taints, node.spec.taints ?? [])) {
    changes.push({ type: 'update', object: withTaints(node, taints) });
  }
  const isUnready = lost && (paused === undefined || hasLeftServices(node, snapshot.list('Node'), nowMs));
  const evictions = new Map<KubeObject, NodeEvent>();
  let held = 0;
  for (const pod of snapshot.podsOnNode(node.metadata.name)) {
    if (declared && !bearsOutOfService(pod, taints)) {
      changes.push({ type: 'remove', object: pod });
      evictions.set(pod, removal(pod, 'NodeOutOfService', `its node ${node.metadata.name} is out of service`));
      continue;
    }
    const isPaused = paused !== undefined;
    const verdict =
      lost && isStopped(pod)
        ? judgeStopped(pod, taints, isPaused, lostForMs, nowMs)
        : judge(pod, taints, isPaused, nowMs);
    if (verdict.leave === 'stopped') {
      changes.push({ type: 'remove', object: pod });
      evictions.set(pod, removal(pod, 'NodeLost', stoppedBecause(pod, node)));
      continue;
    }
    if (verdict.leave === 'held') held += 1;
    if (verdict.leave === 'later') delays.push(verdict.inMs);
    const unready = isUnready ? withoutReady(pod, node, nowMs) : pod;
    const deletion = verdict.leave === 'now' ? deletionOf(unready, undefined, nowMs) : undefined;
    const object = deletion?.type === 'mark' ? deletion.object : unready;
    if (object === pod || changes.length >= mostPerTransaction) continue;
    changes.push({ type: 'update', object });
    if (object !== unready) evictions.set(object, eviction(pod, node, taints));
    else if (isFenced(pod)) evictions.set(object, fenced(pod, node));
  }
  guardBy(node, changes);
  if (held > 0 && paused !== undefined && pauses.isToSay(node, nowMs, () => lastSaidMs(snapshot, node))) {
    events.push({ type: 'Warning', reason: pausedReason, message: paused, about: node });
  }
  const batch = batchOf(changes, mostPerTransaction);
  events.push(...batch.flatMap(({ object }) => evictions.get(object) ?? []));
  return { changes: batch, events, ...(delays.length > 0 && { requeueAfterMs: Math.min(...delays) }) };
}

/** By whoever led then. */
function lastSaidMs(snapshot: Snapshot, node: Node): number {
  const said = pausesIn(snapshot.list('Event', 'default')).get(node.metadata.uid ?? '') ?? [];
  return Math.max(0, ...said.map(({ lastTimestamp }) => Date.parse(lastTimestamp ?? '') || 0));
}

/** By node. Of one list of events the same is asked for each of many lost nodes. */
const pausesOf = new WeakMap<readonly Event[], ReadonlyMap<string, readonly Event[]>>();

function pausesIn(events: readonly Event[]): ReadonlyMap<string, readonly Event[]> {
  let pauses = pausesOf.get(events);
  if (!pauses) {
    const found = events.filter(({ reason }) => reason === pausedReason);
    pauses = Map.groupBy(found, ({ involvedObject }) => involvedObject.uid ?? '');
    pausesOf.set(events, pauses);
  }
  return pauses;
}

/** Pods of a node that no longer exists have nobody who could stop them or say so. */
export function removePodsOfMissingNode(snapshot: Snapshot, nodeName: string, nowMs: number): ReconcileResult {
  const pods = snapshot.podsOnNode(nodeName);
  const others = pods.filter((pod) => !needsNode(pod)).slice(0, mostRemovals);
  if (others.length > 0)
    return {
      changes: others.map((object) => ({ type: 'remove', object })),
      events: others.map((pod) => removal(pod, 'NodeDeleted', `its node ${nodeName} no longer exists`)),
    };
  const stranded = pods.map((pod) => strandedPod(pod, nowMs)).filter((pod) => !pods.includes(pod));
  const changes = batchOf(
    stranded.map((object) => ({ type: 'update', object })),
    mostPerTransaction,
  );
  const events = changes.map(({ object }): NodeEvent => {
    return { type: 'Warning', reason: 'Fenced', message: strandedBecause(object as Pod), about: object };
  });
  return { changes, events };
}

/** The same one, once it says what it waits for. */
function strandedPod(pod: Pod, nowMs: number): Pod {
  const message = strandedBecause(pod);
  const wanted = { type: 'Ready', status: 'False' as const, reason: nodeDeleted, message };
  if (findCondition(pod.status?.conditions, 'Ready')?.message === message) return pod;
  return { ...pod, status: { ...pod.status, conditions: setCondition(pod.status?.conditions, wanted, nowMs) } };
}

const strandedBecause = (pod: Pod): string => `Node ${pod.spec.nodeName} no longer exists: ${nodeIsGone(pod)}`;

function removal(about: Pod, reason: string, why: string): NodeEvent {
  return { type: 'Warning', reason, message: `Removed: ${why}`, about };
}

/** Said once: when the loss of its node takes its readiness. */
function fenced(about: Pod, { metadata: { name } }: Node): NodeEvent {
  const when =
    fencingOf(about) === 'stop-after'
      ? `when ${Math.ceil(replacementDelayMs(about) / 1000)} s have passed, in which it is stopped there`
      : 'when the agent there is back and has stopped it';
  const message = `Pod ${about.metadata.name} must not run twice, and may still run on node ${name}, which is lost: it is replaced ${when}, or at once when the machine is down and you say so: ctl node out-of-service ${name}`;
  return { type: 'Warning', reason: 'Fenced', message, about };
}

function withTaints(node: Node, taints: readonly Taint[]): Node {
  const metadata = { ...node.metadata, generation: (node.metadata.generation ?? 1) + 1 };
  return { ...node, metadata, spec: { ...node.spec, taints: [...taints] } };
}

/** Removals of what must not run twice hold only upon this look at the node. First, so that no batch lacks it. */
function guardBy(node: Node, changes: Change[]): void {
  const isWritten = changes.some(({ type, object }) => type === 'update' && object.kind === 'Node');
  if (isWritten || !changes.some(({ type, object }) => type === 'remove' && isFenced(object))) return;
  changes.unshift({ type: 'update', object: node });
}

type Verdict =
  | { readonly leave: 'no' | 'now' | 'held' | 'stopped' }
  | { readonly leave: 'later'; readonly inMs: number };

/** Its node's watchdog stops it. */
function isStopped(pod: Pod): boolean {
  return fencingOf(pod) === 'stop-after' && (isDeleting(pod) || mayRun(pod));
}

function judgeStopped(
  pod: Pod,
  taints: readonly Taint[],
  paused: boolean,
  lostForMs: number | undefined,
  nowMs: number,
): Verdict {
  const atMs = isDeleting(pod) ? nowMs : leaveAtMs(pod, taints, nowMs);
  if (atMs === undefined) return { leave: 'no' };
  if (paused) return { leave: 'held' };
  const leftMs = Math.max(atMs - nowMs, replacementDelayMs(pod) - (lostForMs ?? 0));
  return leftMs > 0 || lostForMs === undefined
    ? { leave: 'later', inMs: Math.max(lostRecheckMs, leftMs) }
    : { leave: 'stopped' };
}

function stoppedBecause(pod: Pod, { metadata: { name } }: Node): string {
  return `its node ${name} is lost, and has stopped it after ${stopAfterMs(pod) / 1000} s without contact`;
}

function judge(pod: Pod, taints: readonly Taint[], paused: boolean, nowMs: number): Verdict {
  if (isDeleting(pod) || isPodFinished(pod)) return { leave: 'no' };
  const atMs = leaveAtMs(pod, taints, nowMs);
  if (atMs === undefined) return { leave: 'no' };
  if (atMs > nowMs) return { leave: 'later', inMs: atMs - nowMs };
  return { leave: paused ? 'held' : 'now' };
}

function withoutReady(pod: Pod, node: Node, nowMs: number): Pod {
  if (!isPodReady(pod)) return pod;
  const wanted = {
    type: 'Ready',
    status: 'False' as const,
    reason: nodeNotReady,
    message: `Node ${node.metadata.name} is lost: its agent has not been heard of in time`,
  };
  return { ...pod, status: { ...pod.status, conditions: setCondition(pod.status?.conditions, wanted, nowMs) } };
}

function eviction(about: Pod, node: Node, taints: readonly Taint[]): NodeEvent {
  const name = node.metadata.name;
  const keys = new Set(taints.filter(({ effect }) => effect === 'NoExecute').map(({ key }) => key));
  const why = keys.has(unreachableTaint)
    ? `its node ${name} is lost`
    : keys.has(notReadyTaint)
      ? `its node ${name} is not ready`
      : `it does not tolerate a taint of its node ${name} (${[...keys].join(', ')})`;
  const message = `Deleting pod ${about.metadata.name}: ${why}`;
  return { type: 'Warning', reason: 'TaintManagerEviction', message, about };
}
