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

/** How long an answer to hold nodes back is good for, however many others change meanwhile. */
const holdMs = 500;
const mostRemembered = 100;
/** We look every few seconds; once a minute is enough to say it. */
const sayEveryMs = 60_000;

/**
 * Why the pods of lost nodes stay where they are. When thousands are lost, each is asked about again and again, and the list of
 * nodes changes all the time. An answer that nothing speaks against moving pods is never taken from memory.
 */
export class Pauses {
  readonly #losses = new Losses();
  /** By the time of the loss, in whole seconds. */
  readonly #held = new Map<number, { readonly atMs: number; readonly why: string }>();
  /** By uid of the node. */
  readonly #saidMs = new Map<string, number>();

  /** A sentence when the pods of `node`, which is lost and one of `nodes`, should stay where they are. */
  why(node: Node, nodes: readonly Node[], evictionsPaused: () => boolean, nowMs: number): string | undefined {
    const { sinceMs } = readinessOf(node);
    const held = this.#held.get(sinceMs);
    if (held && Math.abs(nowMs - held.atMs) < holdMs) return held.why;
    this.#losses.follow(nodes);
    const silent = (): string | undefined =>
      evictionsPaused() ? `More than ${mostLostPercent} % of the nodes are silent: ${cure}` : undefined;
    const why = this.#losses.together(sinceMs, nowMs) ?? silent();
    if (this.#held.size >= mostRemembered) this.#held.clear();
    if (why === undefined) this.#held.delete(sinceMs);
    else this.#held.set(sinceMs, { atMs: nowMs, why });
    return why;
  }

  /** Whether people should be told that the pods of this node are held back. `lastSaidMs`: as far as Events know. */
  isToSay({ metadata: { uid = '' } }: Node, nowMs: number, lastSaidMs: () => number): boolean {
    const saidMs = this.#saidMs.get(uid) ?? lastSaidMs();
    const isToSay = saidMs <= nowMs - sayEveryMs;
    this.#saidMs.set(uid, isToSay ? nowMs : saidMs);
    return isToSay;
  }

  /** Of a node that is gone. */
  forget(uid: string): void {
    this.#saidMs.delete(uid);
  }
}

const secondMs = 1_000;
/** Another leader's clock may be ahead of ours by so much. */
const aheadMs = 60_000;

/** Who is lost and who is not, by the second of the change; brought up to date by what differs between two lists. */
class Losses {
  #nodes: readonly Node[] = [];
  #notLost = 0;
  readonly #lostAt = new Map<number, Set<Readiness>>();
  readonly #backAt = new Map<number, Set<Readiness>>();

  /** A node that changes keeps its place in the list. */
  follow(nodes: readonly Node[]): void {
    const before = this.#nodes;
    if (nodes === before) return;
    this.#nodes = nodes;
    // When one has gone, those behind it move up: each is taken out before any is put in.
    for (const [index, was] of before.entries()) if (was !== nodes[index]) this.#count(readinessOf(was), -1);
    for (const [index, is] of nodes.entries()) if (is !== before[index]) this.#count(readinessOf(is), 1);
  }

  /** A sentence when so many were lost at that time, or have come back just now, that it was hardly them. */
  together(sinceMs: number, nowMs: number): string | undefined {
    const lost = within(this.#lostAt, sinceMs - togetherMs, sinceMs + togetherMs);
    const backFromMs = Math.max(sinceMs, Math.floor(nowMs - healingMs) + 1);
    const back = within(this.#backAt, backFromMs, nowMs + aheadMs).filter(({ createdMs }) => createdMs < sinceMs);
    const before = lost.length + this.#notLost;
    const together = lost.length + back.length;
    if (together < 2 || (together / before) * 100 <= mostLostPercent) return undefined;
    const healing = back.length > 0 ? `, ${back.length} of them are back` : '';
    const names = namesOf([...lost, ...back].map(({ node }) => node.metadata.name));
    return `${together} of ${before} nodes were lost together (${names}${healing}): ${cure}`;
  }

  #count(reading: Readiness, by: 1 | -1): void {
    if (!reading.known) return;
    if (!reading.lost) this.#notLost += by;
    const seconds = reading.lost ? this.#lostAt : this.#backAt;
    const at = seconds.get(reading.sinceMs) ?? new Set();
    if (by === 1) seconds.set(reading.sinceMs, at.add(reading));
    else if (at.delete(reading) && at.size === 0) seconds.delete(reading.sinceMs);
  }
}

function within(seconds: ReadonlyMap<number, ReadonlySet<Readiness>>, fromMs: number, toMs: number): Readiness[] {
  const found: Readiness[] = [];
  for (let ms = Math.ceil(fromMs / secondMs) * secondMs; ms <= toMs; ms += secondMs) {
    for (const reading of seconds.get(ms) ?? []) found.push(reading);
  }
  return found;
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

const mostNames = 5;

function namesOf(names: readonly string[]): string {
  if (names.length <= mostNames) return [...names].sort().join(', ');
  let first: string[] = [];
  for (const name of names) {
    if (first.length === mostNames && name > first.at(-1)!) continue;
    first = [...first, name].sort().slice(0, mostNames);
  }
  return `${first.join(', ')} and ${names.length - mostNames} more`;
}
