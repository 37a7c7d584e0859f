/**
 * Strategies: which of the nodes that fit is best. `spec.schedulerName` chooses one per pod, `--scheduler` for the
 * cluster. To add one, write it here and name it in `strategies`.
 *
 * A strategy makes a picker over the nodes that passed the filters of one node; the picker gives the best node for the
 * next of several identical pods, and is told of each placement. Pure but for `random`.
 */
import type { Random } from '../../lib/random.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { tolerates } from './filters.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { preferredNodeWeight } from './node-affinity.ts';
import type { NodeInfo } from './node-info.ts';
import { rankedPicker } from './ranked-picker.ts';
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
  /** `candidates` are in the order of names and had room when they were filtered. */
  picker(podClass: PodClass, candidates: readonly NodeInfo[], state: StrategyState): Picker;
}

export const strategyNames = ['least-loaded', 'round-robin', 'random', 'bin-pack'] as const;
export type StrategyName = (typeof strategyNames)[number];

/** 0 (empty) to 100 (full) once the pod runs there; cpu and memory count alike. */
export function load(pod: Pod, info: NodeInfo): number {
  const { cpuMillis, memoryBytes } = requestsOf(pod);
  const share = (used: number, all: number): number => (all > 0 ? Math.min(1, used / all) : 1);
  const cpu = share(info.requestedCpuMillis + cpuMillis, info.allocatable.cpuMillis);
  const memory = share(info.requestedMemoryBytes + memoryBytes, info.allocatable.memoryBytes);
  return 50 * (cpu + memory);
}

/** Taints with effect PreferNoSchedule that the pod does not tolerate: such nodes come last in every strategy. */
function unwanted(pod: Pod, { node }: NodeInfo): number {
  return (node.spec.taints ?? []).filter(
    (taint) => taint.effect === 'PreferNoSchedule' && !tolerates(pod.spec.tolerations ?? [], taint),
  ).length;
}

/** What the manifest prefers, before what the strategy does. Lowest first. */
function wishes({ pod, neighbours }: PodClass, info: NodeInfo): readonly number[] {
  return [
    unwanted(pod, info),
    -(preferredNodeWeight(pod, info.node) + neighbours.preference(info)),
    neighbours.crowding(info),
  ];
}

/** Replicas of one workload spread over the nodes first; then the emptiest node. */
const leastLoaded: Strategy = {
  picker: (podClass, candidates) =>
    rankedPicker(podClass, candidates, (info) => [
      ...wishes(podClass, info),
      podClass.workload === undefined ? 0 : (info.podsOfWorkload.get(podClass.workload) ?? 0),
      load(podClass.pod, info),
      // Pods without requests load nothing: their number then tells the nodes apart.
      info.podCount,
    ]),
};

/** The fullest node that still fits, so that other nodes stay free. Does not spread by itself. */
const binPack: Strategy = {
  picker: (podClass, candidates) =>
    rankedPicker(podClass, candidates, (info) => [
      ...wishes(podClass, info),
      -load(podClass.pod, info),
      -info.podCount,
    ]),
};

/** One after another in the order of names, across workloads and passes; nodes that do not fit lose their turn. */
const roundRobin: Strategy = {
  picker(podClass, candidates, state) {
    const circle = preferred(podClass.pod, candidates);
    let next = circle.findIndex((info) => info.name > state.lastTurn);
    if (next < 0) next = 0;
    return {
      pick() {
        for (let step = 0; step < circle.length; step++) {
          const index = (next + step) % circle.length;
          if (podClass.neighbours.check(circle[index]!) !== undefined) continue;
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
  picker(podClass, candidates, state) {
    const urn = preferred(podClass.pod, candidates);
    let drawn = 0;
    return {
      pick() {
        // Drawn without putting back, so that each node is asked at most once for one pod.
        for (let left = urn.length; left > 0; left--) {
          drawn = Math.floor(state.random.next() * left);
          const info = urn[drawn]!;
          if (podClass.neighbours.check(info) === undefined) return info;
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

export const strategies: Readonly<Record<StrategyName, Strategy>> = {
  'least-loaded': leastLoaded,
  'round-robin': roundRobin,
  random,
  'bin-pack': binPack,
};

/** `default-scheduler` and an absent name mean the cluster's strategy. */
export function strategyFor(pod: Pod, clusterDefault: StrategyName): Strategy {
  return strategies[pod.spec.schedulerName as StrategyName] ?? strategies[clusterDefault];
}
