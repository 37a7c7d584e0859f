/**
 * A simulated machine and whether an agent runs on it. The agent may die and start again; the machine may lose power and
 * boot again, keeping its disk.
 */
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { createFakeWatchdog, type FakeWatchdog } from '../../node-agent/fencing/fake.ts';
import type { HostFacts } from '../../node-agent/host/facts.ts';
import { createFakeImageStore, type FakeRegistry } from '../../node-agent/images/fake.ts';
import type { ImageStore } from '../../node-agent/images/images.ts';
import { createMemoryPodFiles, type MemoryPodFiles } from '../../node-agent/pods/pod-files-memory.ts';
import type { Pods } from '../../node-agent/pods/pods.ts';
import { createFakeHost, type FakeHost } from '../../node-agent/runtime/fake.ts';
import { type AgentPlants, type Machine, runAgent } from './agent.ts';
import { createFakePodNetwork, type FakePodNetwork } from './fake-network.ts';
import { programOf } from './images.ts';
import { SimProcess } from './process.ts';
import type { Rpc } from './rpc.ts';
import type { World } from './world.ts';

export interface NodeOptions {
  readonly name: string;
  readonly nodeIP: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly servers: readonly string[];
  readonly clockRate: number;
  readonly registry: FakeRegistry;
  readonly log: (process: SimProcess) => Log;
  /** Something on the machine has changed. */
  readonly onChange: (podUid: string) => void;
  /** Its agent was told that the Node of this uid, as which it was welcomed last, was deleted. */
  readonly onNodeDeleted: (uid: string | undefined) => void;
  /** The directory of a persistent volume, with what was in it. */
  readonly onVolumeRemoved: (path: string) => void;
}

/** An agent that ended by itself is started again, as systemd would. */
const supervisorMs = 1_000;

export class SimNode implements Machine {
  readonly name: string;
  readonly nodeIP: string;
  readonly servers: readonly string[];
  readonly host: FakeHost;
  readonly network: FakePodNetwork;
  readonly files: MemoryPodFiles;
  readonly images: ImageStore;
  readonly watchdog: FakeWatchdog;
  readonly disk = new Map<string, Uint8Array>();
  agent: SimProcess | undefined;
  pods: Pods | undefined;
  powered = true;
  /** Gone from the cluster for good. */
  left = false;
  /** Its Node was deleted and made again: volumes that were given up in between may have left their directories. */
  joinedAgain = false;
  readonly #world: World;
  readonly #rpc: Rpc;
  readonly #options: NodeOptions;
  readonly #plants: AgentPlants;
  #boots = 1;
  #starts = 0;

  constructor(world: World, rpc: Rpc, options: NodeOptions, plants: AgentPlants = {}) {
    this.#world = world;
    this.#rpc = rpc;
    this.#options = options;
    this.#plants = plants;
    this.name = options.name;
    this.nodeIP = options.nodeIP;
    this.servers = options.servers;
    const machine = new SimProcess(world, { name: `${options.name}/os`, host: options.name });
    this.host = createFakeHost({ clock: machine.clock, program: programOf });
    this.host.runtime().onChange(options.onChange);
    this.files = watched(createMemoryPodFiles(), options.onVolumeRemoved);
    this.network = createFakePodNetwork(() => options.onChange(''));
    this.images = createFakeImageStore({
      clock: machine.clock,
      registry: options.registry,
      pullMs: 200,
      inUse: this.host.imageInUse,
    });
    const clock = atRate(machine.clock, options.clockRate);
    this.watchdog = createFakeWatchdog({ clock, kill: (uid) => this.host.killPod(uid) });
    if (plants.renewsItself) renewAlways(this.watchdog, clock);
  }

  startAgent(): void {
    if (!this.powered || this.agent?.alive) return;
    this.#starts += 1;
    const { clockRate, log, onNodeDeleted } = this.#options;
    const agent = new SimProcess(this.#world, { name: this.name, host: this.name, clockRate });
    this.agent = agent;
    this.#world.trace(this.name, `agent starts (${this.#starts})`);
    const onPods = (pods: Pods): void => {
      this.pods = pods;
    };
    const telling = { onPods, onNodeDeleted };
    const parts = { machine: this, process: agent, rpc: this.#rpc, log: log(agent), plants: this.#plants, ...telling };
    runAgent(parts).catch((error: unknown) => {
      if (!agent.alive) return;
      if (!(error instanceof GantryError)) throw error;
      this.#world.trace(this.name, `agent ends: ${error.message}`);
      agent.kill();
      this.#world.after(supervisorMs, () => this.startAgent());
    });
  }

  killAgent(): void {
    this.agent?.kill();
    this.pods = undefined;
  }

  /** Nothing of any pod is on the machine. */
  get isIdle(): boolean {
    return this.host.containers.size === 0 && this.host.sandboxes.size === 0 && this.network.attached.size === 0;
  }

  /** As a machine that is no node: with a new identity, as `ctl lab up` has it. */
  joinAgain(): void {
    this.#world.trace(this.name, 'is to join again');
    this.joinedAgain = true;
    this.killAgent();
    this.disk.delete('identity');
    this.startAgent();
  }

  /** The file that holds the node's slice is gone, or is no slice any more. */
  damageSlice(gone: boolean): void {
    this.#world.trace(this.name, gone ? 'the slice is gone' : 'the slice is damaged');
    if (gone) this.disk.delete('slice');
    else this.disk.set('slice', Buffer.from('this is no slice, as anybody can see from its checksum'));
  }

  powerOff(): void {
    if (!this.powered) return;
    this.powered = false;
    this.#world.trace(this.name, 'power is cut');
    this.killAgent();
    this.#rpc.network.setDown(this.name, true);
    this.host.powerOff();
    this.watchdog.powerOff();
    this.network.powerOff();
  }

  powerOn(): void {
    if (this.powered) return;
    this.powered = true;
    this.#boots += 1;
    this.#world.trace(this.name, 'boots');
    this.#rpc.network.setDown(this.name, false);
    this.startAgent();
  }

  readonly facts = (): HostFacts => ({
    cpus: this.#options.cpus,
    memoryBytes: this.#options.memoryBytes,
    machineID: `machine-of-${this.name}`,
    bootID: `boot-${this.#boots}`,
    kernelVersion: '6.1',
    osImage: 'Simulated',
    architecture: 'amd64',
    hostname: this.name,
  });
}

function watched(files: MemoryPodFiles, onVolumeRemoved: (path: string) => void): MemoryPodFiles {
  return {
    ...files,
    async removePersistentDir(path) {
      const isThere = files.persistentDirs.has(path);
      await files.removePersistentDir(path);
      if (isThere) onVolumeRemoved(path);
    },
  };
}

/** The machine's clock as its agent has it: all its programs share what is wrong with it. */
function atRate(clock: Clock, rate: number): Pick<Clock, 'monotonicMs' | 'schedule'> {
  return {
    monotonicMs: () => clock.monotonicMs() * rate,
    schedule: (delayMs, callback) => clock.schedule(delayMs / rate, callback),
  };
}

function renewAlways(watchdog: FakeWatchdog, clock: Pick<Clock, 'schedule'>): void {
  watchdog.renew(watchdog.nowMs());
  clock.schedule(1_000, () => renewAlways(watchdog, clock));
}
