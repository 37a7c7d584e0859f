/**
 * Strategies: which of the nodes that fit is best. `spec.schedulerName` chooses one per pod, `--scheduler` for the
 * cluster. To add one, write it here and name it in `strategies`; README.md shows how.
 *
 * A strategy makes a picker over the nodes that passed the filters; the picker gives the best node for the next of
 * several identical pods, and is told of each placement. Most need only name the levels by which nodes are compared
 * (`rankedPicker`). Pure but for `random`.
 */
import { isTolerated } from '../../lib/model/tolerations.ts';
import type { Random } from '../../lib/random.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { type Neighbourhood, neighbourReason } from './neighbourhood.ts';
import { preferredNodeWeight } from './node-affinity.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picture } from './picture.ts';
import { type Level, rankedPicker } from './ranked-picker.ts';
import { requestsOf } from './requests.ts';

/** What outlives a pass. */
export interface StrategyState {
  readonly random: Random;
  /** round-robin: name of the node that had the last turn. */
  lastTurn: string;
}

/** The pods to be placed and what is around them. */
export interface PodClass {
  /** Any one of them: they are identical. */
  readonly pod: Pod;
  /** uid of the managing owner. */
  readonly workload: string | undefined;
  readonly neighbours: Neighbourhood;
  /** All nodes, the unfit ones too. */
  readonly picture: Picture;
  /** Whether the node has room for one more. */
  hasRoom(info: NodeInfo): boolean;
}

export interface Picker {
  /** The node for the next pod, or undefined when none takes it now. */
  pick(): NodeInfo | undefined;
  /** After the placement on the picked node. */
  placed(info: NodeInfo): void;
}

export interface Strategy {
  /** What `spec.schedulerName` and `--scheduler` call it. */
  readonly name: string;
  /** It wants the nodes to be even: pods that one pass has placed may change places for that at its end (exchange.ts). */
  readonly evensOut?: true;
  /** `candidates` are in the order of names and had room when they were filtered. */
  picker(podClass: PodClass, candidates: readonly NodeInfo[], state: StrategyState): Picker;
}

/** 0 (empty) to 100 (full) once the pod runs there; cpu and memory count alike. */
function loadWith(pod: Pod): (info: NodeInfo) => number {
  const { cpuMillis, memoryBytes } = requestsOf(pod);
  const share = (used: number, all: number): number => (all > 0 ? Math.min(1, used / all) : 1);
  return ({ requestedCpuMillis, requestedMemoryBytes, allocatable }) => {
    const cpu = share(requestedCpuMillis + cpuMillis, allocatable.cpuMillis);
    const memory = share(requestedMemoryBytes + memoryBytes, allocatable.memoryBytes);
    return 50 * (cpu + memory);
  };
}

/**
 * By how much the pod would add to the cluster's imbalance there: the sum, over nodes and both resources, of the squared
 * share in use, each node counting by its size. Placing every pod where it adds least keeps that sum near its minimum,
 * the same share everywhere. A pod that asks for much of one resource goes where that one is free.
 */
function imbalanceBy(pod: Pod, { nodes: { capacity } }: Picture): ((info: NodeInfo) => number) | undefined {
  const { cpuMillis, memoryBytes } = requestsOf(pod);
  const cpuWeight = cpuMillis / Math.max(1, capacity.cpuMillis);
  const memoryWeight = memoryBytes / Math.max(1, capacity.memoryBytes);
  if (cpuWeight + memoryWeight === 0) return undefined;
  // A candidate has room for the pod, and so something of what the pod asks for.
  return ({ requestedCpuMillis, requestedMemoryBytes, allocatable }) =>
    (cpuWeight && (cpuWeight * (2 * requestedCpuMillis + cpuMillis)) / allocatable.cpuMillis) +
    (memoryWeight && (memoryWeight * (2 * requestedMemoryBytes + memoryBytes)) / allocatable.memoryBytes);
}

/** Taints with effect PreferNoSchedule that the pod does not tolerate: such nodes come last in every strategy. */
export function unwanted({ spec }: Pod, { node }: NodeInfo): number {
  const { taints = [] } = node.spec;
  return taints.filter((taint) => taint.effect === 'PreferNoSchedule' && !isTolerated(taint, spec.tolerations)).length;
}

/** What the manifest prefers, before what the strategy does. */
export function wishes({ pod, picture, neighbours: { preference, crowding } }: PodClass): Level[] {
  const prefers = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution !== undefined;
  const levels: Level[] = [];
  if (picture.nodes.hasSoftTaints) levels.push({ node: (info) => unwanted(pod, info) });
  if (prefers || preference.node || preference.group) {
    const { node, group } = preference;
    levels.push({
      node: (info) => -((prefers ? preferredNodeWeight(pod, info.node) : 0) + (node?.(info) ?? 0)),
      ...(group && { group: (info) => -group(info) }),
    });
  }
  if (crowding.node || crowding.group) levels.push(crowding);
  return levels;
}

/** How many replicas of the same workload are there. */
function siblings({ workload, picture }: PodClass): Level[] {
  if (workload === undefined) return [];
  const perNode = picture.workload(workload);
  return [{ node: (info) => perNode.get(info) ?? 0 }];
}

/** Replicas of one workload spread over the nodes first; then where the pod unbalances the cluster least. */
const leastLoaded: Strategy = {
  name: 'least-loaded',
  evensOut: true,
  picker: (podClass, candidates) =>
    rankedPicker(podClass, candidates, [
      ...wishes(podClass),
      ...siblings(podClass),
      { node: imbalanceBy(podClass.pod, podClass.picture) ?? loadWith(podClass.pod) },
      // Pods without requests load nothing: their number then tells the nodes apart.
      { node: ({ podCount }) => podCount },
    ]),
};

/** The fullest node that still fits, so that other nodes stay free. Does not spread by itself. */
const binPack: Strategy = {
  name: 'bin-pack',
  picker(podClass, candidates) {
    const load = loadWith(podClass.pod);
    return rankedPicker(podClass, candidates, [
      ...wishes(podClass),
      { node: (info) => -load(info) },
      { node: ({ podCount }) => -podCount },
    ]);
  },
};

/** One after another in the order of names, across workloads and passes; nodes that do not fit lose their turn. */
const roundRobin: Strategy = {
  name: 'round-robin',
  picker(podClass, candidates, state) {
    const circle = preferred(podClass.pod, candidates);
    let next = circle.findIndex((info) => info.name > state.lastTurn);
    if (next < 0) next = 0;
    return {
      pick() {
        for (let step = 0; step < circle.length; step++) {
          const index = (next + step) % circle.length;
          if (neighbourReason(podClass.neighbours, circle[index]!) !== undefined) continue;
          next = index;
          return circle[index];
        }
        return undefined;
      },
      placed(info) {
        state.lastTurn = info.name;
        if (podClass.hasRoom(info)) next += 1;
        else circle.splice(next, 1);
        next = circle.length === 0 ? 0 : next % circle.length;
      },
    };
  },
};

const random: Strategy = {
  name: 'random',
  picker(podClass, candidates, state) {
    const urn = preferred(podClass.pod, candidates);
    let drawn = 0;
    return {
      pick() {
        // Drawn without putting back, so that each node is asked at most once for one pod.
        for (let left = urn.length; left > 0; left--) {
          drawn = Math.floor(state.random.next() * left);
          const info = urn[drawn]!;
          if (neighbourReason(podClass.neighbours, info) === undefined) return info;
          [urn[drawn], urn[left - 1]] = [urn[left - 1]!, info];
        }
        return undefined;
      },
      placed(info) {
        if (podClass.hasRoom(info)) return;
        urn[drawn] = urn.at(-1)!;
        urn.pop();
      },
    };
  },
};

/** Those that no PreferNoSchedule taint speaks against, or all when there are none. */
function preferred(pod: Pod, candidates: readonly NodeInfo[]): NodeInfo[] {
  const wanted = candidates.filter((info) => unwanted(pod, info) === 0);
  return wanted.length > 0 ? wanted : [...candidates];
}

/** The first is the default of `--scheduler`. */
export const strategies: readonly Strategy[] = [leastLoaded, roundRobin, random, binPack];

export type StrategyName = string;
export const strategyNames: readonly StrategyName[] = strategies.map(({ name }) => name);

/** `default-scheduler` and an absent name mean the cluster's strategy. */
export function strategyFor(pod: Pod, clusterDefault: string, known: readonly Strategy[] = strategies): Strategy {
  const named = (name: string | undefined): Strategy | undefined => known.find((strategy) => strategy.name === name);
  return named(pod.spec.schedulerName) ?? named(clusterDefault) ?? known[0]!;
}
