/**
 * Is the loss of a node that node's death, or ours? When most of the nodes vanish together it is more likely that the
 * control plane was cut off, and moving everything onto the rest would make it worse: then nothing is moved.
 *
 * The sessions know first (`evictionsPaused`: they also count nodes that have begun to be silent); the stored conditions
 * know it for as long as it lasts, also under the next leader.
 */
import { findCondition } from '../../../lib/model/conditions.ts';
import type { Condition, Node } from '../../../proto/gen/types.ts';
import { isLost } from './taints.ts';

/** Losses this close to each other count as one. */
const togetherMs = 10_000;
/** While nodes come back, those that were lost with them have this long to follow. */
const healingMs = 10_000;
const mostLostPercent = 55;
const neverInSession = 'NodeStatusNeverUpdated';

const cure =
  'their pods are not moved until nodes return; to move one by hand delete the pod, to give a node up delete the node';

/** A sentence when the pods of `node`, which is lost, should stay where they are. */
export function whyPaused(
  node: Node,
  nodes: readonly Node[],
  evictionsPaused: boolean,
  nowMs: number,
): string | undefined {
  const sinceMs = transitionMs(node);
  const known = nodes.filter((other) => readyOf(other)?.reason !== neverInSession);
  const lost = known.filter((other) => isLost(other) && Math.abs(transitionMs(other) - sinceMs) <= togetherMs);
  const back = known.filter((other) => !isLost(other) && cameBack(other, sinceMs, nowMs));
  const before = lost.length + known.filter((other) => !isLost(other)).length;
  const together = lost.length + back.length;
  if (together >= 2 && (together / before) * 100 > mostLostPercent) {
    const healing = back.length > 0 ? `, ${back.length} of them are back` : '';
    return `${together} of ${before} nodes were lost together (${namesOf([...lost, ...back])}${healing}): ${cure}`;
  }
  return evictionsPaused ? `More than ${mostLostPercent} % of the nodes are silent: ${cure}` : undefined;
}

/** Just now, and after the other was lost (times are whole seconds): a sign that what cut off both is being mended. */
function cameBack(node: Node, lostMs: number, nowMs: number): boolean {
  const sinceMs = transitionMs(node);
  const isNew = (Date.parse(node.metadata.creationTimestamp ?? '') || 0) >= lostMs;
  return !isNew && sinceMs >= lostMs && sinceMs > nowMs - healingMs;
}

function namesOf(nodes: readonly Node[]): string {
  const names = nodes.map(({ metadata }) => metadata.name).sort();
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
}

function readyOf(node: Node): Condition | undefined {
  return findCondition(node.status?.conditions, 'Ready');
}

function transitionMs(node: Node): number {
  return Date.parse(readyOf(node)?.lastTransitionTime ?? '') || 0;
}
