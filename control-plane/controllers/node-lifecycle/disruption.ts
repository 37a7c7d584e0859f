/**
 * Is the loss of a node that node's death, or ours? When most of the nodes vanish together it is more likely that the
 * control plane was cut off, and moving everything onto the rest would make it worse: then nothing is moved.
 *
 * The sessions know first (`evictionsPaused`: they also count nodes that have begun to be silent); the stored conditions
 * know it for as long as it lasts, also under the next leader.
 */
import { findCondition } from '../../../lib/model/conditions.ts';
import type { Node } from '../../../proto/gen/types.ts';
import { isLost } from './taints.ts';

/** Losses this close to each other count as one. */
const togetherMs = 10_000;
const mostLost = 0.55;
const neverInSession = 'NodeStatusNeverUpdated';

const cure =
  'their pods are not moved until nodes return; to move one by hand delete the pod, to give a node up delete the node';

/** A sentence when the pods of `node`, which is lost, should stay where they are. */
export function whyPaused(node: Node, nodes: readonly Node[], evictionsPaused: boolean): string | undefined {
  const sinceMs = lostSinceMs(node);
  const known = nodes.filter((other) => findCondition(other.status?.conditions, 'Ready')?.reason !== neverInSession);
  const together = known.filter((other) => isLost(other) && Math.abs(lostSinceMs(other) - sinceMs) <= togetherMs);
  const before = together.length + known.filter((other) => !isLost(other)).length;
  if (together.length >= 2 && together.length / before > mostLost) {
    return `${together.length} of ${before} nodes were lost together (${namesOf(together)}): ${cure}`;
  }
  return evictionsPaused ? `More than ${mostLost * 100} % of the nodes are silent: ${cure}` : undefined;
}

function namesOf(nodes: readonly Node[]): string {
  const names = nodes.map(({ metadata }) => metadata.name).sort();
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
}

function lostSinceMs(node: Node): number {
  return Date.parse(findCondition(node.status?.conditions, 'Ready')?.lastTransitionTime ?? '') || 0;
}
