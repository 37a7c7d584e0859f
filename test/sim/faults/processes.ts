/** Faults of processes and their clocks: killed at any moment, standing still, wrong about the time. */
import type { SimCluster } from '../cluster.ts';
import type { SimProcess } from '../process.ts';
import { type Menu, present } from './fault.ts';

function someProcess(cluster: SimCluster): SimProcess | undefined {
  const { world, replicas, nodes } = cluster;
  const processes = world.chance(0.5) ? replicas.map(({ process }) => process) : nodes.map(({ agent }) => agent);
  const alive = processes.filter((process) => process?.alive);
  return alive.length > 0 ? world.pick(alive) : undefined;
}

/** Killed at once, or in the midst of something a little later. */
function kill({ world }: SimCluster, process: SimProcess | undefined): void {
  if (!process?.alive) return;
  if (world.chance(0.5)) process.kill();
  else process.killAfterEffects(Math.floor(world.between(0, 40)));
}

export const processFaults = {
  killReplica(cluster) {
    const { world } = cluster;
    const replica = world.pick(cluster.replicas);
    kill(cluster, replica.process);
    world.after(world.between(100, 10_000), () => replica.start());
  },
  killLeader(cluster) {
    const { world, checker, replicas } = cluster;
    const leader = replicas.find(({ process }) => process !== undefined && process === checker.leader);
    kill(cluster, leader?.process);
    world.after(world.between(100, 10_000), () => leader?.start());
  },
  killAllReplicas(cluster) {
    const { world, replicas } = cluster;
    for (const replica of replicas) {
      replica.kill();
      world.after(world.between(100, 8_000), () => replica.start());
    }
  },
  killAgent(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    kill(cluster, node.agent);
    world.after(world.between(100, 20_000), () => node.startAgent());
  },
  stall(cluster) {
    const { world } = cluster;
    someProcess(cluster)?.stall(world.chance(0.3) ? world.between(3_000, 30_000) : world.between(50, 3_000));
  },
  clockJump(cluster) {
    const { world } = cluster;
    const process = someProcess(cluster);
    if (!process) return;
    process.clockOffsetMs += world.pick([1, -1]) * world.pick([500, 60_000, 3_600_000]) * world.random.next();
    world.trace(process.name, `its clock is ${Math.round(process.clockOffsetMs)} ms ahead`);
  },
} satisfies Menu;
