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
/** While nodes come back, those that were lost with them have this long to follow. */
const healingMs = 10_000;
const mostLostPercent = 55;
const neverInSession = 'NodeStatusNeverUpdated';

const cure =
  'their pods are not moved until nodes return; to move one by hand delete the pod, to give a node up delete the node';

/** Of one node, what counts here; times are whole seconds. */
interface Readiness {
  readonly node: Node;
  readonly known: boolean;
  readonly lost: boolean;
  readonly sinceMs: number;
  readonly createdMs: number;
}

/** Nodes are replaced when they change, never changed: each is read once. */
const readings = new WeakMap<Node, Readiness>();
/** Answers for one list of nodes: when many are lost, the same is asked for each of them, again and again. */
const answers = new WeakMap<readonly Node[], Map<string, string | undefined>>();

/** A sentence when the pods of `node`, which is lost, should stay where they are. */
export function whyPaused(
  node: Node,
  nodes: readonly Node[],
  evictionsPaused: () => boolean,
  nowMs: number,
): string | undefined {
  const { sinceMs } = readinessOf(node);
  const known = answers.get(nodes) ?? new Map<string, string | undefined>();
  answers.set(nodes, known);
  const question = `${sinceMs} ${Math.floor(nowMs / 1000)}`;
  if (!known.has(question)) known.set(question, lostTogether(sinceMs, nodes, nowMs));
  const together = known.get(question);
  return (
    together ?? (evictionsPaused() ? `More than ${mostLostPercent} % of the nodes are silent: ${cure}` : undefined)
  );
}

/** How long an answer to hold nodes back is good for, however many others change meanwhile. */
const holdMs = 500;
const mostRemembered = 100;

/**
 * `whyPaused` for one controller: when thousands are lost, each is asked about every second, and the list of nodes changes
 * all the time. An answer that nothing speaks against moving pods is never taken from memory.
 */
export class Pauses {
  /** By the time of the loss, in whole seconds. */
  readonly #held = new Map<number, { readonly atMs: number; readonly why: string }>();

  why(node: Node, nodes: readonly Node[], evictionsPaused: () => boolean, nowMs: number): string | undefined {
    const { sinceMs } = readinessOf(node);
    const held = this.#held.get(sinceMs);
    if (held && Math.abs(nowMs - held.atMs) < holdMs) return held.why;
    const why = whyPaused(node, nodes, evictionsPaused, nowMs);
    if (this.#held.size >= mostRemembered) this.#held.clear();
    if (why === undefined) this.#held.delete(sinceMs);
    else this.#held.set(sinceMs, { atMs: nowMs, why });
    return why;
  }
}

/** While nodes are held back, so long for each of the cluster: their pods are taken out of services one node after another. */
const turnMs = 50;
/** In a small cluster at once. */
const smallCluster = 20;

/**
 * Whether the pods of a lost node that is held back should have left their services by now. At once when it is one of few. Of a
 * thousand most are likely there, and on their way back to a control plane that should not rewrite all their pods first.
 */
export function hasLeftServices(node: Node, nodes: readonly Node[], nowMs: number): boolean {
  if (nodes.length <= smallCluster) return true;
  return nowMs >= readinessOf(node).sinceMs + shareOf(node.metadata.name) * nodes.length * turnMs;
}

/** From 0 to 1, always the same for a name (FNV-1a). */
function shareOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  return (hash >>> 0) / 2 ** 32;
}

function lostTogether(sinceMs: number, nodes: readonly Node[], nowMs: number): string | undefined {
  const known = nodes.map(readinessOf).filter((other) => other.known);
  const lost = known.filter((other) => other.lost && Math.abs(other.sinceMs - sinceMs) <= togetherMs);
  const back = known.filter((other) => !other.lost && cameBack(other, sinceMs, nowMs));
  const before = lost.length + known.filter((other) => !other.lost).length;
  const together = lost.length + back.length;
  if (together < 2 || (together / before) * 100 <= mostLostPercent) return undefined;
  const healing = back.length > 0 ? `, ${back.length} of them are back` : '';
  const names = namesOf([...lost, ...back].map((other) => other.node));
  return `${together} of ${before} nodes were lost together (${names}${healing}): ${cure}`;
}

/** Just now, and after the other was lost: a sign that what cut off both is being mended. */
function cameBack({ sinceMs, createdMs }: Readiness, lostMs: number, nowMs: number): boolean {
  return createdMs < lostMs && sinceMs >= lostMs && sinceMs > nowMs - healingMs;
}

function readinessOf(node: Node): Readiness {
  let reading = readings.get(node);
  if (!reading) {
    const ready = findCondition(node.status?.conditions, 'Ready');
    reading = {
      node,
      known: ready?.reason !== neverInSession,
      lost: isLost(node),
      sinceMs: Date.parse(ready?.lastTransitionTime ?? '') || 0,
      createdMs: Date.parse(node.metadata.creationTimestamp ?? '') || 0,
    };
    readings.set(node, reading);
  }
  return reading;
}

function namesOf(nodes: readonly Node[]): string {
  const names = nodes.map(({ metadata }) => metadata.name).sort();
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
}
