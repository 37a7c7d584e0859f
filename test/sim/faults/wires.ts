/** Faults of the wires: slow, reset, cut, each direction by itself. */
import type { SimCluster } from '../cluster.ts';
import { type Menu, present } from './fault.ts';

/** Cuts for a while; sometimes only one way. */
function partition(cluster: SimCluster, a: string, b: string, longestMs: number): void {
  const { world, network } = cluster;
  const durationMs = world.between(200, longestMs);
  const ways = world.pick<readonly (readonly [string, string])[]>([
    [
      [a, b],
      [b, a],
    ],
    [[a, b]],
    [[b, a]],
  ]);
  for (const [from, to] of ways) {
    network.cut(from, to);
    world.after(durationMs, () => network.mend(from, to));
  }
}

export const wireFaults = {
  slowNetwork({ world, network }) {
    network.delayMs = world.between(20, 300);
    network.slowChance = world.between(0, 0.2);
    network.slowMs = world.between(100, 3_000);
    world.trace('network', `is slow: up to ${Math.round(network.delayMs)} ms`);
    world.after(world.between(1_000, 10_000), () => network.calm());
  },
  resetConnections({ world, rpc }) {
    world.trace('network', 'connections are reset');
    for (let count = world.between(1, 6); count > 0; count -= 1) rpc.resetOne((items) => world.pick(items));
  },
  /** Within a connection nothing is repeated; but who calls may do so again when an answer does not come. */
  callsRepeated({ world, rpc }) {
    rpc.repeatedShare = world.between(0.1, 0.6);
    world.trace('network', 'calls are sent twice');
    world.after(world.between(1_000, 10_000), () => {
      rpc.repeatedShare = 0;
    });
  },
  nodeFromReplicas(cluster) {
    const { world, replicas } = cluster;
    const node = world.pick(present(cluster));
    const all = world.chance(0.6);
    const chosen = all ? replicas : [world.pick(replicas)];
    for (const replica of chosen) partition(cluster, node.name, replica.name, 20_000);
  },
  /** Its cable is pulled: the pods run on, and nobody hears of it. */
  nodeAlone(cluster) {
    const { world, network, replicas } = cluster;
    const { name } = world.pick(present(cluster));
    const durationMs = world.between(5_000, 35_000);
    for (const replica of replicas) {
      network.cut(name, replica.name);
      network.cut(replica.name, name);
      world.after(durationMs, () => network.mend(name, replica.name));
      world.after(durationMs, () => network.mend(replica.name, name));
    }
  },
  nodesFromAll(cluster) {
    const { world, nodes, replicas } = cluster;
    const cutOff = nodes.filter(() => world.chance(0.8));
    for (const node of cutOff) for (const replica of replicas) partition(cluster, node.name, replica.name, 15_000);
  },
  replicaFromEtcd: (cluster) => partition(cluster, cluster.world.pick(cluster.replicas).name, 'etcd', 15_000),
  replicaFromAll(cluster) {
    const replica = cluster.world.pick(cluster.replicas);
    for (const other of ['etcd', 'users', ...cluster.nodes.map(({ name }) => name)]) {
      partition(cluster, replica.name, other, 12_000);
    }
  },
  usersFromReplica: (cluster) => partition(cluster, 'users', cluster.world.pick(cluster.replicas).name, 15_000),
} satisfies Menu;
