/**
 * The scheduler's decision: pending pods and the picture of the nodes in, bindings and reasons out. Pure but for the
 * strategy's state (turn, chance).
 *
 * Identical pods are one equivalence class: the nodes are filtered once for the class, then its pods are placed from
 * the strategy's index, each placement reserved before the next. Between classes the higher priority goes first, then the
 * older: a class is served when its oldest pod's turn has come. A pod that fits nowhere may make room (preempt.ts) and
 * holds it against those that come after it.
 */
import type { Node, Pod } from '../../proto/gen/types.ts';
import { candidatesFor } from './candidates.ts';
import { evictionRound, type PodPreemption } from './eviction-round.ts';
import { exchange, type PlacedClass, type Placement } from './exchange.ts';
import { explain } from './explain.ts';
import { filters as allFilters, type Check, checksFor, type Filter, firstReason, isStatic } from './filters.ts';
import { neighbourhood } from './neighbourhood.ts';
import { workloadOf } from './node-info.ts';
import type { Picture } from './picture.ts';
import { classesOf } from './pod-classes.ts';
import type { Budget } from './preempt.ts';
import { type PodClass, type Strategy, type StrategyState, strategyFor } from './strategies.ts';

export interface Binding {
  readonly pod: Pod;
  readonly node: Node;
}

export interface Unschedulable {
  readonly pod: Pod;
  /** "0/3 nodes fit: 2 insufficient memory, 1 cordoned". */
  readonly message: string;
}

export interface Decision {
  readonly bindings: readonly Binding[];
  readonly unschedulable: readonly Unschedulable[];
  /** For pods that are among the unschedulable, too: they wait until the victims have gone. */
  readonly preemptions: readonly PodPreemption[];
}

export interface ScheduleOptions {
  /** Name of a strategy, for pods that name none. */
  readonly defaultStrategy: string;
  readonly state: StrategyState;
  /** Default: none. */
  readonly budgets?: readonly Budget[];
  /** Default: those of production. */
  readonly filters?: readonly Filter[];
  readonly strategies?: readonly Strategy[];
}

/** Leaves the picture as it found it: what was decided is in the answer alone. */
export function schedule(pending: readonly Pod[], picture: Picture, options: ScheduleOptions): Decision {
  return picture.attempt(() => decide(pending, picture, options));
}

function decide(pending: readonly Pod[], picture: Picture, options: ScheduleOptions): Decision {
  const placed: PlacedClass[] = [];
  const unschedulable: Unschedulable[] = [];
  const preemptions: PodPreemption[] = [];
  const eviction = evictionRound(picture, options.budgets ?? [], options.filters ?? allFilters);
  for (const pods of classesOf(pending)) {
    const left = placeClass(pods, picture, options, placed);
    for (const entry of left) {
      const { node, preemption } = eviction(entry.pod);
      if (preemption) preemptions.push(preemption);
      const message = node ? `${entry.message}; ${waitsFor(node)}` : entry.message;
      unschedulable.push({ pod: entry.pod, message });
    }
  }
  // Whoever was told that no node has room must not find some after an exchange.
  if (unschedulable.length === 0) exchange(placed, picture, options.filters ?? allFilters);
  const bindings = placed.flatMap(({ placements }) => placements.map(({ pod, info }) => ({ pod, node: info.node })));
  return { bindings, unschedulable, preemptions };
}

const waitsFor = ({ metadata }: Node): string => `waiting for pods to leave ${metadata.name}`;

/** Adds what it places to `placed`, and returns what it could not place. */
function placeClass(
  pods: readonly Pod[],
  picture: Picture,
  { defaultStrategy, state, filters = allFilters, strategies }: ScheduleOptions,
  placed: PlacedClass[],
): readonly Unschedulable[] {
  const [first] = pods as [Pod, ...Pod[]];
  const neighbours = neighbourhood(first, picture);
  const roomChecks = checksFor(
    first,
    filters.filter((filter) => !isStatic(filter)),
  );
  const podClass: PodClass = {
    pod: first,
    workload: workloadOf(first),
    neighbours,
    picture,
    hasRoom: (info) => firstReason(roomChecks, info) === undefined,
  };
  const asked: readonly Check[] = neighbours.refuses ? [neighbours.refuses] : [];
  const candidates = candidatesFor(first, picture, filters, asked);
  const strategy = strategyFor(first, defaultStrategy, strategies);
  const picker = strategy.picker(podClass, candidates, state);
  const facts = picture.factsOf(first);
  const placements: Placement[] = [];
  placed.push({ placements, facts, roomChecks, evensOut: strategy.evensOut === true });
  for (const [index, pod] of pods.entries()) {
    const info = picker.pick();
    if (!info) {
      const message = explain(first, picture, neighbours, filters);
      return pods.slice(index).map((left) => ({ pod: left, message }));
    }
    picture.reserve(info, pod, facts);
    neighbours.placed(info);
    picker.placed(info);
    placements.push({ pod, info });
  }
  return [];
}
