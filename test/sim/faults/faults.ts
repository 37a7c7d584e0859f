/**
 * What goes wrong, and when. Everything is drawn from the seed: which faults this run knows at all (so that some runs
 * show one fault in purity and others many at once), how often they come and how long they last. `heal` ends all of it.
 */
import type { SimCluster } from '../cluster.ts';
import { images } from '../images.ts';
import { elect, etcdFaults } from './etcd.ts';
import type { Menu } from './fault.ts';
import { machineFaults } from './machines.ts';
import { processFaults } from './processes.ts';
import { wireFaults } from './wires.ts';

const faults = { ...wireFaults, ...processFaults, ...etcdFaults, ...machineFaults } satisfies Menu;

export type FaultName = keyof typeof faults;
const faultNames = Object.keys(faults) as FaultName[];

/** One node after the other is lost, for long enough that its pods are given up, while everything else works. */
const lostNodes = { known: ['nodeAlone', 'killAgent', 'machineBreaks'], meanPauseMs: 9_000, mostMs: 60_000 } as const;

export class Faults {
  readonly #cluster: SimCluster;
  /** How long they may last before all heals. */
  readonly mostMs: number;
  readonly #known: readonly FaultName[];
  readonly #meanPauseMs: number;

  /** `known`: instead of those that the seed draws. */
  constructor(cluster: SimCluster, known?: readonly FaultName[]) {
    this.#cluster = cluster;
    const { world } = cluster;
    const share = world.pick([0.1, 0.3, 1]);
    const names = faultNames.filter(() => world.chance(share));
    const some = { known: names, meanPauseMs: world.pick([300, 1_000, 3_000]), mostMs: 40_000 };
    const drawn = world.chance(0.15) ? lostNodes : some;
    this.mostMs = drawn.mostMs;
    this.#known = known ?? drawn.known;
    this.#meanPauseMs = drawn.meanPauseMs;
    world.trace('faults', `this run knows ${this.#known.join(', ') || 'none'}`);
  }

  /** Until `endMs`. */
  begin(endMs: number): void {
    if (this.#known.length > 0) this.#next(endMs);
  }

  /** Everything works again, and whoever should run does. */
  heal(): void {
    const { world, network, rpc, replicas, nodes, etcd, registry, administrator } = this.#cluster;
    world.trace('faults', 'heal');
    network.calm();
    network.mendAll();
    rpc.repeatedShare = 0;
    Object.assign(etcd.health, { available: true, slowMs: 0, ambiguousShare: 0 });
    etcd.memory.setAvailable(true);
    elect(this.#cluster);
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
        void administrator.deleteNode(node);
        continue;
      }
      for (const part of [node.host, node.network, node.files]) part.forgetFailures();
      administrator.powerOn(node);
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
