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
import { dynamicFilters, filters, verdict } from './filters.ts';
import { allRepellents, neighbourhood } from './neighbourhood.ts';
import { emptied, type NodeInfo, reserve } from './node-info.ts';

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

export const staticFilters = filters.filter((filter) => filter.static);

interface Candidate extends Preemption {
  /** Lowest is best, from left to right; ties go by the node's name. */
  readonly cost: readonly number[];
}

/** Nodes that would do are compared up to this many, so that a large cluster does not hold the scheduler up. */
const mostExamined = 100;

interface World {
  readonly infos: readonly NodeInfo[];
  readonly budgets: readonly Budget[];
  readonly leaving: ReadonlySet<Pod>;
  readonly neighboursMatter: boolean;
}

/** `leaving`: pods chosen as victims before that are not marked yet. */
export function preempt(
  pod: Pod,
  infos: readonly NodeInfo[],
  budgets: readonly Budget[],
  leaving: ReadonlySet<Pod> = new Set(),
): Preemption | undefined {
  let best: Candidate | undefined;
  let examined = 0;
  const world: World = {
    infos,
    budgets,
    leaving,
    // Fewer pods never make neighbours matter that do not matter now.
    neighboursMatter: neighbourhood(pod, infos, allRepellents(infos)).minds,
  };
  for (const info of infos) {
    const victims = victimsOn(pod, info, world);
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

function victimsOn(pod: Pod, info: NodeInfo, world: World): Pod[] | undefined {
  const priority = priorityOf(pod);
  const isLeaving = (other: Pod): boolean => other.metadata.deletionTimestamp !== undefined || world.leaving.has(other);
  const evictable = info.pods.filter(
    (other) => !isLeaving(other) && other.spec.nodeName !== undefined && priorityOf(other) < priority,
  );
  if (evictable.length === 0 && !info.pods.some(isLeaving)) return undefined;
  if (verdict(pod, info, staticFilters) !== undefined) return undefined;
  const lesser = new Set(evictable);
  const kept = info.pods.filter((other) => !isLeaving(other) && !lesser.has(other));
  let trial = withPods(info, kept);
  if (!fits(pod, trial, world)) return undefined;
  const victims: Pod[] = [];
  for (const other of inOrderOfReprieve(evictable, world.budgets)) {
    reserve(trial, other);
    if (fits(pod, trial, world)) {
      kept.push(other);
    } else {
      victims.push(other);
      trial = withPods(info, kept);
    }
  }
  return victims;
}

function withPods(info: NodeInfo, pods: readonly Pod[]): NodeInfo {
  const changed = emptied(info);
  for (const pod of pods) reserve(changed, pod);
  return changed;
}

function fits(pod: Pod, changed: NodeInfo, { infos, neighboursMatter }: World): boolean {
  if (verdict(pod, changed, dynamicFilters) !== undefined) return false;
  if (!neighboursMatter) return true;
  const world = infos.map((info) => (info.name === changed.name ? changed : info));
  return neighbourhood(pod, world, allRepellents(world)).check(changed) === undefined;
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
