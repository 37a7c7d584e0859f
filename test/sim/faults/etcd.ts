/** Faults of etcd: away, slow, silent about the outcome of writes, without a leader, compacted. */
import type { SimCluster } from '../cluster.ts';
import type { Menu } from './fault.ts';

/** etcd has a leader again; what waited for one has its end, this way or that. */
export function elect({ world, etcd }: SimCluster): void {
  const waiting = etcd.health.election;
  if (!waiting) return;
  world.trace('etcd', `has a leader; ${waiting.length} calls were waiting`);
  etcd.health.election = undefined;
  etcd.memory.setLeaderless(false);
  for (const end of waiting) end();
}

export const etcdFaults = {
  etcdAway({ world, etcd }) {
    world.trace('etcd', 'is away');
    etcd.health.available = false;
    etcd.memory.setAvailable(false);
    world.after(world.between(200, 8_000), () => {
      etcd.health.available = true;
      etcd.memory.setAvailable(true);
      world.trace('etcd', 'is back');
    });
  },
  etcdSlow({ world, etcd }) {
    etcd.health.slowMs = world.pick([50, 400, 3_000]);
    world.trace('etcd', `is slow: up to ${etcd.health.slowMs} ms`);
    world.after(world.between(1_000, 8_000), () => (etcd.health.slowMs = 0));
  },
  etcdAmbiguous({ world, etcd }) {
    etcd.health.ambiguousShare = world.between(0.05, 0.6);
    world.trace('etcd', 'loses answers');
    world.after(world.between(500, 6_000), () => (etcd.health.ambiguousShare = 0));
  },
  /** Of what was written meanwhile nobody learns whether it is in the log of the next leader. */
  etcdLosesLeader(cluster) {
    const { world, etcd } = cluster;
    if (etcd.health.election) return;
    world.trace('etcd', 'has lost its leader');
    etcd.health.election = [];
    etcd.memory.setLeaderless(true);
    world.after(world.between(200, 4_000), () => elect(cluster));
  },
  etcdCompacted({ world, etcd, checker }) {
    const revision = checker.revision - BigInt(Math.floor(world.between(0, 20)));
    if (revision < 1n || !etcd.health.available || etcd.health.election) return;
    world.trace('etcd', `is compacted to ${revision}`);
    void etcd.memory.compact(revision);
  },
} satisfies Menu;
