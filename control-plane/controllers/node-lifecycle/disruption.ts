/**
 * Is the loss of a node that node's death, or ours? When most of the nodes vanish together it is more likely that the
 * control plane was cut off, and moving everything onto the rest would make it worse: then nothing is moved.
 */
import { findCondition } from '../../../lib/model/conditions.ts';
import type { Node } from '../../../proto/gen/types.ts';
import { isLost } from './taints.ts';

/** Losses this close to each other count as one. */
const togetherMs = 10_000;
/** When several are lost, how long to look for more before anything is moved. */
const settleMs = 2000;
const mostLost = 0.55;

export interface Disruption {
  /** A sentence: why pods stay where they are. */
  readonly paused?: string;
  /** Look again after this long before anything is moved. */
  readonly waitMs?: number;
}

/** About the loss of `node`, which is lost. */
export function disruptionOf(node: Node, nodes: readonly Node[], nowMs: number): Disruption {
  const sinceMs = lostSinceMs(node);
  const together = nodes.filter((other) => isLost(other) && Math.abs(lostSinceMs(other) - sinceMs) <= togetherMs);
  if (together.length < 2) return {};
  const before = together.length + nodes.filter((other) => !isLost(other)).length;
  if (together.length / before > mostLost) {
    const names = together.map(({ metadata }) => metadata.name).sort();
    const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
    return {
      paused:
        `${together.length} of ${before} nodes were lost together (${shown}), more than ${mostLost * 100} %: ` +
        'their pods are not moved until nodes return; to move a pod by hand delete it, to give a node up delete the node',
    };
  }
  const newestMs = Math.max(...together.map(lostSinceMs));
  const waitMs = newestMs + settleMs - nowMs;
  return waitMs > 0 ? { waitMs } : {};
}

function lostSinceMs(node: Node): number {
  return Date.parse(findCondition(node.status?.conditions, 'Ready')?.lastTransitionTime ?? '') || 0;
}
