/** What is to be said of a pod that is on a node: above all when that node does not run it, and what comes next. Pure. */
import { timestamp } from '../../lib/clock.ts';
import { findCondition } from '../../lib/model/conditions.ts';
import {
  fencingOf,
  isOutOfService,
  needsNode,
  nodeIsGone,
  replacementDelayMs,
  stopAfterMs,
} from '../../lib/model/fencing.ts';
import { isDeleting } from '../../lib/model/object.ts';
import { isPodFinished } from '../../lib/model/pods.ts';
import type { Node, Pod, Taint } from '../../proto/gen/types.ts';
import { Pauses } from '../controllers/node-lifecycle/disruption.ts';
import { bearsOutOfService, isLost, type Leaving, leavingOf, taintsFor } from '../controllers/node-lifecycle/taints.ts';

/** `node`: the pod's; undefined when there is none of that name. `nodes`: all of them. */
export function boundPodSentence(pod: Pod, node: Node | undefined, nodes: readonly Node[], nowMs: number): string {
  const where = `pod ${pod.metadata.name} is on node ${pod.spec.nodeName}`;
  if (isPodFinished(pod))
    return `${where}, and has finished (${pod.status?.phase}): it is not waiting for the scheduler`;
  if (!node)
    return `${where}, which no longer exists: ${needsNode(pod) ? nodeIsGone(pod) : 'it is about to be removed'}`;
  const taints = taintsFor(node, nowMs);
  const leaving = leavingOf(pod, taints, nowMs);
  const trouble = troubleOf(node, nowMs);
  if (trouble === undefined) {
    if (!leaving || isDeleting(pod)) return `${where}: it is not waiting for the scheduler`;
    return `${where}: ${leavingSentence(pod, leaving, nowMs)}`;
  }
  const next = isLost(node) ? afterLoss(pod, node, nodes, taints, leaving, nowMs) : whileUnready(pod, leaving, nowMs);
  return `${where}, which ${trouble}: ${next}`;
}

/** Undefined while it is ready. */
function troubleOf({ status }: Node, nowMs: number): string | undefined {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'True') return undefined;
  const sinceMs = Date.parse(ready?.lastTransitionTime ?? '');
  const since = Number.isNaN(sinceMs) ? '' : ` for ${secondsText(nowMs - sinceMs)}`;
  const message = ready?.message ? ` (${ready.message})` : '';
  return `${ready?.status === 'False' ? 'has not been ready' : 'has been lost'}${since}${message}`;
}

/** Its agent is there, and stops what is deleted. */
function whileUnready(pod: Pod, leaving: Leaving | undefined, nowMs: number): string {
  if (isDeleting(pod)) return 'it is being deleted, and goes when the node has stopped it';
  return leaving ? leavingSentence(pod, leaving, nowMs) : 'it tolerates that and stays';
}

function afterLoss(
  pod: Pod,
  node: Node,
  nodes: readonly Node[],
  taints: readonly Taint[],
  leaving: Leaving | undefined,
  nowMs: number,
): string {
  const { name } = node.metadata;
  if (isOutOfService(node) && !bearsOutOfService(pod, taints)) {
    return 'the node is declared out of service, so that the pod is about to be removed';
  }
  const byHand = `at once when the machine is down and you say so: ctl node out-of-service ${name}`;
  const paused = new Pauses().why(node, nodes, () => false, nowMs);
  if (fencingOf(pod) === 'stop-after') {
    const stopped = `the node stops it after ${stopAfterMs(pod) / 1000} s without contact`;
    if (paused !== undefined) return `${stopped}, but it is not replaced yet: ${paused}`;
    if (!isDeleting(pod) && !leaving)
      return `${stopped}, and it is not replaced, for it tolerates the loss; or ${byHand}`;
    const from = Math.ceil(replacementDelayMs(pod) / 1000);
    const later =
      leaving && !isDeleting(pod) && leaving.atMs > nowMs ? `, not before ${whenText(leaving.atMs, nowMs)}` : '';
    return `${stopped}, and it is replaced ${from} s after the loss${later}, or ${byHand}`;
  }
  const back = `when the node is back and has stopped it, or ${byHand}`;
  if (isDeleting(pod)) return `it is being deleted, and goes ${back}`;
  if (leaving) {
    if (paused !== undefined) return paused;
    const replaced = fencingOf(pod) === 'strict' ? `; it must not run twice, and is replaced ${back}` : '';
    return `${leavingSentence(pod, leaving, nowMs)}${replaced}`;
  }
  if (fencingOf(pod) === 'strict') {
    return `it must not run twice, and waits: it runs on when the node is back, or is replaced ${byHand}`;
  }
  return 'it tolerates that and stays; it runs on when the node is back, or goes when it is deleted';
}

/** When it leaves, and by which taint. */
function leavingSentence({ metadata }: Pod, { taint, atMs, seconds, isTolerated }: Leaving, nowMs: number): string {
  const named = `taint ${taint.key}${taint.value ? `=${taint.value}` : ''}:${taint.effect}`;
  const bears = isTolerated
    ? `it tolerates ${named} for ${seconds} s`
    : `it does not tolerate ${named}${seconds > 0 ? `, which it is given ${seconds} s to bear` : ''}`;
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  const then = owner ? `, and ${owner.kind} ${owner.name} makes another` : ', and nothing makes another';
  return `${bears}, and is deleted ${whenText(atMs, nowMs)}${then}`;
}

function whenText(atMs: number, nowMs: number): string {
  return atMs <= nowMs ? 'now' : `at ${timestamp(atMs)}, in ${secondsText(atMs - nowMs)}`;
}

const secondsText = (ms: number): string => `${Math.max(0, Math.ceil(ms / 1000))} s`;
