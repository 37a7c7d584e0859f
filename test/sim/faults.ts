/**
 * What goes wrong, and when. Everything is drawn from the seed: which faults this run knows at all (so that some runs
 * show one fault in purity and others many at once), how often they come and how long they last. `heal` ends all of it.
 */
import { GantryError } from '../../lib/errors.ts';
import type { PullFailure } from '../../node-agent/images/images.ts';
import type { FakeOperation } from '../../node-agent/runtime/fake.ts';
import type { SimCluster } from './cluster.ts';
import { images } from './images.ts';
import type { SimNode } from './node.ts';
import type { SimProcess } from './process.ts';

type Fault = (cluster: SimCluster) => void;

const runtimeOperations: readonly FakeOperation[] = [
  'createSandbox',
  'removeSandbox',
  'createContainer',
  'startContainer',
  'signalContainer',
  'removeContainer',
  'exec',
  'list',
];
const pullFailures: readonly PullFailure[] = ['ErrImagePull', 'ImageNotFound', 'RegistryUnavailable', 'NoSpace'];

const injected = (): GantryError => new GantryError('internal', 'injected by the simulation');

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

function someProcess(cluster: SimCluster): SimProcess | undefined {
  const { world, replicas, nodes } = cluster;
  const processes = world.chance(0.5) ? replicas.map(({ process }) => process) : nodes.map(({ agent }) => agent);
  const alive = processes.filter((process) => process?.alive);
  return alive.length > 0 ? world.pick(alive) : undefined;
}

const present = (cluster: SimCluster): SimNode[] => cluster.nodes.filter(({ left }) => !left);

/** Killed at once, or in the midst of something a little later. */
function kill({ world }: SimCluster, process: SimProcess | undefined): void {
  if (!process?.alive) return;
  if (world.chance(0.5)) process.kill();
  else process.killAfterEffects(Math.floor(world.between(0, 40)));
}

export const faults = {
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
  nodeFromReplicas(cluster) {
    const { world, replicas } = cluster;
    const node = world.pick(present(cluster));
    const all = world.chance(0.6);
    const chosen = all ? replicas : [world.pick(replicas)];
    for (const replica of chosen) partition(cluster, node.name, replica.name, 20_000);
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
    world.after(world.between(100, 12_000), () => node.startAgent());
  },
  powerCycle(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    node.powerOff();
    world.after(world.between(500, 20_000), () => {
      if (!node.left) node.powerOn();
    });
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
  etcdCompacted({ world, etcd, checker }) {
    const revision = checker.revision - BigInt(Math.floor(world.between(0, 20)));
    if (revision < 1n || !etcd.health.available) return;
    world.trace('etcd', `is compacted to ${revision}`);
    void etcd.memory.compact(revision);
  },
  spawnFails(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const operation = world.pick(runtimeOperations);
    world.trace(node.name, `${operation} will fail`);
    for (let count = world.between(1, 4); count > 0; count -= 1) node.host.failNext(operation, injected());
  },
  hostFails(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const dice = world.random.next();
    world.trace(node.name, `something of the host will fail (${dice.toFixed(2)})`);
    if (dice < 0.25) node.network.failNext('attach', injected());
    else if (dice < 0.5) node.network.failNext('detach', injected());
    else node.files.failNext(world.pick(['saveRecord', 'prepareVolumes', 'prepareContainer', 'removePod']), injected());
  },
  sliceDamaged(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    node.killAgent();
    node.damageSlice(world.chance(0.5));
    world.after(world.between(100, 5_000), () => node.startAgent());
  },
  pullsFail({ world, registry }) {
    const image = world.pick(images);
    const failure = world.pick(pullFailures);
    world.trace('registry', `${image}: ${failure}`);
    registry.fail(image, failure);
    world.after(world.between(500, 8_000), () => registry.fail(image, undefined));
  },
  registryAway({ world, registry }) {
    world.trace('registry', 'is away');
    registry.setAvailable(false);
    world.after(world.between(500, 8_000), () => registry.setAvailable(true));
  },
  containerExits(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const running = [...node.host.containers.values()].filter(
      ({ status, config }) => status.state === 'running' && config.attempt < 2,
    );
    if (running.length === 0) return;
    const { config } = world.pick(running);
    world.trace(node.name, `container ${config.id} exits`);
    node.host.exit(config.id, world.pick([0, 1, 137]));
  },
  sandboxDies(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const alive = [...node.host.sandboxes.values()].filter(({ status }) => status.alive);
    if (alive.length === 0) return;
    const uid = world.pick(alive).config.podUid;
    world.trace(node.name, `sandbox ${uid} dies`);
    node.host.killSandbox(uid);
  },
  nodeJoins(cluster) {
    if (cluster.nodes.length < mostNodes) cluster.addNode().startAgent();
  },
  nodeLeaves(cluster) {
    if (present(cluster).length <= fewestNodes) return;
    cluster.removeNode(cluster.world.pick(present(cluster)));
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;
const faultNames = Object.keys(faults) as FaultName[];

const mostNodes = 7;
/** The workloads must still fit. */
const fewestNodes = 3;

export class Faults {
  readonly #cluster: SimCluster;
  readonly #known: readonly FaultName[];
  readonly #meanPauseMs: number;

  constructor(cluster: SimCluster, calm: boolean) {
    this.#cluster = cluster;
    const { world } = cluster;
    const share = world.pick([0.1, 0.3, 1]);
    this.#known = calm ? [] : faultNames.filter(() => world.chance(share));
    this.#meanPauseMs = world.pick([300, 1_000, 3_000]);
    world.trace('faults', `this run knows ${this.#known.join(', ') || 'none'}`);
  }

  /** Until `endMs`. */
  begin(endMs: number): void {
    if (this.#known.length > 0) this.#next(endMs);
  }

  /** Everything works again, and whoever should run does. */
  heal(): void {
    const { world, network, replicas, nodes, etcd, registry } = this.#cluster;
    world.trace('faults', 'heal');
    network.calm();
    network.mendAll();
    Object.assign(etcd.health, { available: true, slowMs: 0, ambiguousShare: 0 });
    etcd.memory.setAvailable(true);
    registry.setAvailable(true);
    for (const image of images) registry.fail(image, undefined);
    for (const process of [...replicas.map((replica) => replica.process), ...nodes.map(({ agent }) => agent)]) {
      if (!process?.alive) continue;
      process.killAfterEffects(undefined);
      process.clockOffsetMs = 0;
      process.resume();
    }
    for (const replica of replicas) replica.start();
    for (const node of nodes) {
      if (node.left) {
        void this.#cluster.deleteNode(node);
        continue;
      }
      for (const part of [node.host, node.network, node.files]) part.forgetFailures();
      node.powerOn();
      node.startAgent();
    }
  }

  #next(endMs: number): void {
    const { world } = this.#cluster;
    world.after(2 * this.#meanPauseMs * world.random.next(), () => {
      if (world.nowMs >= endMs) return;
      const name = world.pick(this.#known);
      world.trace('faults', name);
      faults[name](this.#cluster);
      this.#next(endMs);
    });
  }
}
