/**
 * Strategies: which of the nodes that fit is best. `spec.schedulerName` chooses one per pod, `--scheduler` for the
 * cluster. To add one, write it here and name it in `strategies`.
 *
 * A strategy makes a picker over the nodes that passed the filters; the picker gives the best node for the next
 * of several identical pods, and is told whether that node can take yet another one. Pure but for `random`.
 */
import type { Random } from '../../lib/random.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { tolerates } from './filters.ts';
import { Heap } from './heap.ts';
import type { NodeInfo } from './node-info.ts';
import { requestsOf } from './requests.ts';

/** What outlives a pass. */
export interface StrategyState {
  readonly random: Random;
  /** round-robin: name of the node that had the last turn. */
  lastTurn: string;
}

export interface Picker {
  /** The node for the next pod, or undefined when none is left. */
  pick(): NodeInfo | undefined;
  /** After the placement on the picked node: whether it may be picked again. */
  placed(info: NodeInfo, fitsAnother: boolean): void;
}

export interface Strategy {
  /** `candidates` are in the order of names. `workload` is the uid of the pods' managing owner. */
  picker(pod: Pod, candidates: readonly NodeInfo[], workload: string | undefined, state: StrategyState): Picker;
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

/** The lowest rank first, compared from left to right, ties by name: an ordered index of which one entry moves at a time. */
function ranked(candidates: readonly NodeInfo[], rank: (info: NodeInfo) => readonly number[]): Picker {
  const entries = candidates.map((info) => ({ info, rank: rank(info) }));
  const heap = new Heap(entries, (a, b) => compareRanks(a.rank, b.rank) || (a.info.name < b.info.name ? -1 : 1));
  return {
    pick: () => heap.peek()?.info,
    placed(info, fitsAnother) {
      if (fitsAnother) heap.replaceTop({ info, rank: rank(info) });
      else heap.pop();
    },
  };
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** Replicas of one workload spread over the nodes first; then the emptiest node. */
const leastLoaded: Strategy = {
  picker: (pod, candidates, workload) =>
    ranked(candidates, (info) => [
      unwanted(pod, info),
      workload === undefined ? 0 : (info.podsOfWorkload.get(workload) ?? 0),
      load(pod, info),
      // Pods without requests load nothing: their number then tells the nodes apart.
      info.podCount,
    ]),
};

/** The fullest node that still fits, so that other nodes stay free. Does not spread. */
const binPack: Strategy = {
  picker: (pod, candidates) => ranked(candidates, (info) => [unwanted(pod, info), -load(pod, info), -info.podCount]),
};

/** One after another in the order of names, across workloads and passes; nodes that do not fit lose their turn. */
const roundRobin: Strategy = {
  picker(pod, candidates, _workload, state) {
    const circle = preferred(pod, candidates);
    let next = circle.findIndex((info) => info.name > state.lastTurn);
    if (next < 0) next = 0;
    return {
      pick: () => circle[next % circle.length],
      placed(info, fitsAnother) {
        state.lastTurn = info.name;
        if (fitsAnother) next += 1;
        else circle.splice(next % circle.length, 1);
        next = circle.length === 0 ? 0 : next % circle.length;
      },
    };
  },
};

const random: Strategy = {
  picker(pod, candidates, _workload, state) {
    const urn = preferred(pod, candidates);
    let drawn = 0;
    return {
      pick() {
        drawn = Math.floor(state.random.next() * urn.length);
        return urn[drawn];
      },
      placed(_info, fitsAnother) {
        if (fitsAnother) return;
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
