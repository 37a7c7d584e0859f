/**
 * Preemption: where a pod that fits nowhere would fit if lesser pods went, and which. Pure.
 *
 * - Victims have a lower priority than the pod, always; pods that are leaving anyway are free.
 * - Every victim is needed: with any one of them left in place the pod would not fit.
 * - A node that eviction cannot cure (not ready, cordoned, wrong labels, tainted) is never chosen.
 * - Of the nodes that remain: fewest broken disruption budgets, then the least important victims, then the fewest,
 *   then the youngest, then the first by name.
 */
import { priorityOf } from '../../lib/model/priority.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { filters as allFilters, type Check, checksFor, type Filter, firstReason, isStatic } from './filters.ts';
import { neighbourhood, neighbourReason } from './neighbourhood.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';

/** A PodDisruptionBudget as far as evictions go. */
export interface Budget {
  /** How many of its pods may go now. */
  readonly allowed: number;
  covers(pod: Pod): boolean;
}

export interface Preemption {
  readonly node: Node;
  /** Empty: those that are leaving already make room enough. */
  readonly victims: readonly Pod[];
}

interface Candidate extends Preemption {
  /** Lowest is best, from left to right; ties go by the node's name. */
  readonly cost: readonly number[];
}

/** Nodes that would do are compared up to this many, so that a large cluster does not hold the scheduler up. */
const mostExamined = 100;

interface World {
  readonly picture: Picture;
  readonly budgets: readonly Budget[];
  readonly leaving: ReadonlySet<Pod>;
  readonly neighboursMatter: boolean;
  /** Of filters that no eviction can cure, and of those that one can. */
  readonly lasting: readonly Check[];
  readonly passing: readonly Check[];
}

export interface PreemptOptions {
  /** Pods chosen as victims before that are not marked yet. */
  readonly leaving?: ReadonlySet<Pod>;
  readonly filters?: readonly Filter[];
}

/** Leaves the picture as it found it. */
export function preempt(
  pod: Pod,
  picture: Picture,
  budgets: readonly Budget[],
  { leaving = new Set(), filters = allFilters }: PreemptOptions = {},
): Preemption | undefined {
  let best: Candidate | undefined;
  let examined = 0;
  const neighbours = neighbourhood(pod, picture);
  const world: World = {
    picture,
    budgets,
    leaving,
    // Fewer pods never make neighbours matter that do not matter now.
    neighboursMatter: neighbours.refuses !== undefined || neighbours.postpones !== undefined,
    lasting: checksFor(pod, filters.filter(isStatic)),
    passing: checksFor(
      pod,
      filters.filter((filter) => !isStatic(filter)),
    ),
  };
  for (const info of picture.infos) {
    const victims = picture.attempt(() => victimsOn(pod, info, world));
    if (!victims) continue;
    examined += 1;
    if (examined > mostExamined) break;
    const candidate = { node: info.node, victims, cost: costOf(victims, budgets) };
    if (!best || isCheaper(candidate.cost, best.cost)) best = candidate;
  }
  return best && { node: best.node, victims: best.victims };
}

export function mayPreempt(pod: Pod): boolean {
  return pod.spec.preemptionPolicy !== 'Never';
}

/** Takes all away that may go, then lets back in whom there is room for. */
function victimsOn(pod: Pod, info: NodeInfo, world: World): Pod[] | undefined {
  const { picture, leaving, budgets, lasting } = world;
  const priority = priorityOf(pod);
  const isLeaving = (other: Pod): boolean => other.metadata.deletionTimestamp !== undefined || leaving.has(other);
  const going = info.pods.filter(isLeaving);
  const evictable = info.pods.filter(
    (other) => !isLeaving(other) && other.spec.nodeName !== undefined && priorityOf(other) < priority,
  );
  if (evictable.length + going.length === 0 || firstReason(lasting, info) !== undefined) return undefined;
  for (const other of [...going, ...evictable]) picture.release(info, other);
  if (!fits(pod, info, world)) return undefined;
  return inOrderOfReprieve(evictable, budgets).filter((other) => {
    picture.reserve(info, other);
    const stays = fits(pod, info, world);
    if (!stays) picture.release(info, other);
    return !stays;
  });
}

function fits(pod: Pod, info: NodeInfo, { picture, neighboursMatter, passing }: World): boolean {
  if (firstReason(passing, info) !== undefined) return false;
  return !neighboursMatter || neighbourReason(neighbourhood(pod, picture), info) === undefined;
}

/** Those whose budget would break first, then the most important, then the oldest. */
function inOrderOfReprieve(pods: readonly Pod[], budgets: readonly Budget[]): Pod[] {
  const breaking = breakingOf(pods, budgets);
  return [...pods].sort(
    (a, b) =>
      Number(breaking.has(b)) - Number(breaking.has(a)) ||
      priorityOf(b) - priorityOf(a) ||
      createdMs(a) - createdMs(b) ||
      (a.metadata.name < b.metadata.name ? -1 : 1),
  );
}

/** Those that are one too many for a budget when all of these go, in this order. */
function breakingOf(pods: readonly Pod[], budgets: readonly Budget[]): Set<Pod> {
  const left = new Map(budgets.map((budget) => [budget, budget.allowed]));
  const breaking = new Set<Pod>();
  for (const pod of pods) {
    for (const budget of budgets) {
      if (!budget.covers(pod)) continue;
      const allowed = left.get(budget)!;
      if (allowed <= 0) breaking.add(pod);
      left.set(budget, allowed - 1);
    }
  }
  return breaking;
}

function costOf(victims: readonly Pod[], budgets: readonly Budget[]): number[] {
  const priorities = victims.map(priorityOf);
  const youngestMs = Math.max(...victims.map(createdMs));
  return [
    breakingOf(victims, budgets).size,
    victims.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...priorities),
    victims.length,
    priorities.reduce((sum, priority) => sum + priority, 0),
    victims.length === 0 ? 0 : -youngestMs,
  ];
}

function isCheaper(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, cost] of a.entries()) if (cost !== b[index]) return cost < b[index]!;
  return false;
}

function createdMs({ metadata }: Pod): number {
  return Date.parse(metadata.creationTimestamp ?? '') || 0;
}
