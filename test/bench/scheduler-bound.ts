/**
 * How even a placement is, and how even any placement of the same pods could be at most.
 *
 * Total imbalance: the sum, over the nodes and over cpu and memory, of the squared share of the node that is requested,
 * each node counting by its part of the cluster. It is least when every node has the same share of both in use.
 *
 * The bound: pods may be cut into pieces and put on any node that their own filters let them on, whatever is there. That
 * relaxed problem is convex, its optimum is no worse than that of whole pods with all constraints, and from any point
 * of it the gradient gives a lower bound of its optimum (Frank and Wolfe, 1956). Alike nodes are one.
 */
import { checksFor, filters, firstReason, isStatic } from '../../control-plane/scheduler/filters.ts';
import type { NodeInfo } from '../../control-plane/scheduler/node-info.ts';
import { pictureOf } from '../../control-plane/scheduler/picture.ts';
import { classesOf } from '../../control-plane/scheduler/pod-classes.ts';
import { requestsOf } from '../../control-plane/scheduler/requests.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';

const iterations = 1_000;

/** `placed`: bound pods. */
export function totalImbalance(nodes: readonly Node[], placed: readonly Pod[]): number {
  const {
    infos,
    nodes: { capacity },
  } = pictureOf(nodes, placed);
  return infos.reduce(
    (sum, { requestedCpuMillis, requestedMemoryBytes, allocatable }) =>
      sum +
      requestedCpuMillis ** 2 / allocatable.cpuMillis / capacity.cpuMillis +
      requestedMemoryBytes ** 2 / allocatable.memoryBytes / capacity.memoryBytes,
    0,
  );
}

/** Alike to every static filter, and of one size; one row for each resource. */
interface NodeType {
  readonly info: NodeInfo;
  nodes: number;
}

interface Demand {
  readonly cpu: number;
  readonly memory: number;
  /** Positions of the types that the pods may run on. */
  readonly types: readonly number[];
}

export function imbalanceBound(nodes: readonly Node[], pods: readonly Pod[]): number {
  const {
    infos,
    nodes: { capacity },
  } = pictureOf(nodes, []);
  const types = typesOf(infos);
  const demands = demandsOf(pods, types);
  // What a unit of squared usage costs there.
  const cpuCost = types.map(({ info, nodes: n }) => 1 / (n * info.allocatable.cpuMillis * capacity.cpuMillis));
  const memoryCost = types.map(({ info, nodes: n }) => 1 / (n * info.allocatable.memoryBytes * capacity.memoryBytes));
  let cpu = new Float64Array(types.length);
  let memory = new Float64Array(types.length);
  let bound = 0;
  for (let iteration = 0; iteration < iterations; iteration += 1) {
    const best = cheapest(demands, types.length, (type) => [
      2 * cpu[type]! * cpuCost[type]!,
      2 * memory[type]! * memoryCost[type]!,
    ]);
    if (iteration === 0) {
      [cpu, memory] = [best.cpu, best.memory];
      continue;
    }
    let value = 0;
    let gap = 0;
    let curvature = 0;
    for (let type = 0; type < types.length; type += 1) {
      const cpuStep = best.cpu[type]! - cpu[type]!;
      const memoryStep = best.memory[type]! - memory[type]!;
      value += cpu[type]! ** 2 * cpuCost[type]! + memory[type]! ** 2 * memoryCost[type]!;
      gap -= 2 * (cpu[type]! * cpuCost[type]! * cpuStep + memory[type]! * memoryCost[type]! * memoryStep);
      curvature += cpuStep ** 2 * cpuCost[type]! + memoryStep ** 2 * memoryCost[type]!;
    }
    bound = Math.max(bound, value - gap);
    const step = curvature === 0 ? 0 : Math.min(1, gap / (2 * curvature));
    for (let type = 0; type < types.length; type += 1) {
      cpu[type]! += step * (best.cpu[type]! - cpu[type]!);
      memory[type]! += step * (best.memory[type]! - memory[type]!);
    }
  }
  return bound;
}

function typesOf(infos: readonly NodeInfo[]): NodeType[] {
  const types = new Map<string, NodeType>();
  for (const info of infos) {
    const { 'kubernetes.io/hostname': _own, ...labels } = info.node.metadata.labels ?? {};
    const key = JSON.stringify([info.allocatable, labels, info.node.spec.taints]);
    const type = types.get(key);
    if (type) type.nodes += 1;
    else types.set(key, { info, nodes: 1 });
  }
  return [...types.values()];
}

function demandsOf(pods: readonly Pod[], types: readonly NodeType[]): Demand[] {
  return [...classesOf(pods)].map((members) => {
    const { cpuMillis, memoryBytes } = requestsOf(members[0]!);
    const checks = checksFor(members[0]!, filters.filter(isStatic));
    const fitting = types.flatMap(({ info }, position) => (firstReason(checks, info) === undefined ? [position] : []));
    return { cpu: cpuMillis * members.length, memory: memoryBytes * members.length, types: fitting };
  });
}

/** Everybody where it is cheapest at these prices. */
function cheapest(demands: readonly Demand[], types: number, pricesOf: (type: number) => readonly [number, number]) {
  const usage = { cpu: new Float64Array(types), memory: new Float64Array(types) };
  const prices = Array.from({ length: types }, (_, type) => pricesOf(type));
  for (const demand of demands) {
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (const type of demand.types) {
      const cost = demand.cpu * prices[type]![0] + demand.memory * prices[type]![1];
      if (cost < lowest) [best, lowest] = [type, cost];
    }
    if (best < 0) continue; // fits nowhere, now or ever
    usage.cpu[best]! += demand.cpu;
    usage.memory[best]! += demand.memory;
  }
  return usage;
}
