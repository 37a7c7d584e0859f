/**
 * A simulated machine and the node agent on it: the real session client, slice store and pod lifecycle over fakes of
 * runtime, images, network and disk. The wiring follows node-agent/main.ts. The agent may die and start again; the
 * machine may lose power and boot again, keeping its disk.
 */
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { createNodeReporter } from '../../node-agent/host/node-reporter.ts';
import { createFakeImageStore, type FakeRegistry } from '../../node-agent/images/fake.ts';
import type { ImageStore } from '../../node-agent/images/images.ts';
import { createMemoryPodFiles } from '../../node-agent/pods/pod-files-memory.ts';
import { createPods, type Pods } from '../../node-agent/pods/pods.ts';
import type { Prober } from '../../node-agent/pods/prober.ts';
import type { StatusSink } from '../../node-agent/pods/report.ts';
import { createFakeHost, type FakeHost } from '../../node-agent/runtime/fake.ts';
import { createSessionClient, type SessionTransport } from '../../node-agent/session/session-client.ts';
import { openSliceStore } from '../../node-agent/session/slice-store.ts';
import type { JoinRequest, JoinResponse, SessionDown } from '../../proto/gen/types.ts';
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
}

/** Bugs that tests plant. */
export interface NodePlants {
  /** What was attached to the network is never detached. */
  readonly leakAttachments?: boolean;
  /** Nobody hears that a pod is gone. */
  readonly keepRemovals?: boolean;
}

const gibibyte = 2 ** 30;
/** An agent that ended by itself is started again, as systemd would. */
const supervisorMs = 1_000;

export class SimNode {
  readonly name: string;
  readonly host: FakeHost;
  readonly network: FakePodNetwork;
  readonly files = createMemoryPodFiles();
  agent: SimProcess | undefined;
  pods: Pods | undefined;
  powered = true;
  /** Gone from the cluster for good. */
  left = false;
  readonly #world: World;
  readonly #rpc: Rpc;
  readonly #options: NodeOptions;
  readonly #plants: NodePlants;
  readonly #images: ImageStore;
  /** Files outside the pods' folders, by name. */
  readonly #disk = new Map<string, Uint8Array>();
  #boots = 1;
  #starts = 0;

  constructor(world: World, rpc: Rpc, options: NodeOptions, plants: NodePlants = {}) {
    this.#world = world;
    this.#rpc = rpc;
    this.#options = options;
    this.#plants = plants;
    this.name = options.name;
    const machine = new SimProcess(world, { name: `${options.name}/os`, host: options.name });
    this.host = createFakeHost({ clock: machine.clock, program: programOf });
    this.host.runtime().onChange(options.onChange);
    this.network = createFakePodNetwork(() => options.onChange(''));
    this.#images = createFakeImageStore({
      clock: machine.clock,
      registry: options.registry,
      pullMs: 200,
      inUse: this.host.imageInUse,
    });
  }

  startAgent(): void {
    if (!this.powered || this.agent?.alive) return;
    this.#starts += 1;
    const agent = new SimProcess(this.#world, {
      name: this.name,
      host: this.name,
      clockRate: this.#options.clockRate,
    });
    this.agent = agent;
    this.#world.trace(this.name, `agent starts (${this.#starts})`);
    this.#run(agent).catch((error: unknown) => {
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

  /** The file that holds the node's slice is gone, or is no slice any more. */
  damageSlice(gone: boolean): void {
    this.#world.trace(this.name, gone ? 'the slice is gone' : 'the slice is damaged');
    if (gone) this.#disk.delete('slice');
    else this.#disk.set('slice', Buffer.from('this is no slice, as anybody can see from its checksum'));
  }

  powerOff(): void {
    if (!this.powered) return;
    this.powered = false;
    this.#world.trace(this.name, 'power is cut');
    this.killAgent();
    this.#rpc.network.setDown(this.name, true);
    this.host.powerOff();
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

  async #run(agent: SimProcess): Promise<void> {
    const { clock, random } = agent;
    const { servers, nodeIP } = this.#options;
    const log = this.#options.log(agent);
    const signal = new AbortController().signal;
    const runtimeDelayMs = (): number => 1 + random.next() * 20;
    const diskDelayMs = (): number => 0.2 + random.next() * 2;

    await this.#join(agent);
    const disk = agent.guard(this.#diskAdapter(), ['read', 'write'], diskDelayMs);
    const slice = await openSliceStore({ file: 'slice', disk, clock, log });
    const images = agent.guard(this.#images, ['find', 'pull', 'list', 'remove'], diskDelayMs);
    const reporter = createNodeReporter({
      nodeIP,
      maxPods: 30,
      port: 10250,
      overlayMAC: '02:00:00:00:00:01',
      version: 'gantry-sim',
      runtimeVersion: 'runc://sim',
      host: { facts: async () => this.#facts(), usage: async () => healthyUsage },
      facts: this.#facts(),
      images,
      clock,
      log,
    });
    let pods: Pods | undefined;
    const welcomed = Promise.withResolvers<void>();
    const session = createSessionClient({
      servers,
      transport: this.#transport(agent),
      node: () => ({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: this.name, labels: { 'kubernetes.io/hostname': this.name } },
        spec: {},
      }),
      podUIDs: () => pods?.uids() ?? [],
      onWelcome: () => {
        this.#disk.set('settings', new Uint8Array());
        welcomed.resolve();
      },
      slice,
      clock,
      random,
      log,
    });
    await reporter.start((status) => session.node(status));
    const fakeRuntime = this.host.runtime();
    agent.onKill(() => fakeRuntime.detach());
    const runtime = agent.guard(
      Object.assign(fakeRuntime, {
        onChange: heardBy(agent, fakeRuntime.onChange.bind(fakeRuntime)),
      }),
      [
        'createSandbox',
        'removeSandbox',
        'createContainer',
        'startContainer',
        'signalContainer',
        'removeContainer',
        'exec',
        'list',
        'rotateLogs',
      ],
      runtimeDelayMs,
    );
    const knowsSettings = this.#disk.has('settings');
    if (!knowsSettings) void session.run(signal);
    if (!knowsSettings) await welcomed.promise;

    const network = agent.guard(this.network, ['attach', 'detach', 'retain'], runtimeDelayMs);
    if (this.#plants.leakAttachments) Object.defineProperty(network, 'detach', { value: async () => {} });
    const files = agent.guard(
      this.files,
      ['loadRecords', 'saveRecord', 'prepareVolumes', 'prepareContainer', 'removeVolumes', 'removePod'],
      diskDelayMs,
    );
    pods = createPods({
      nodeName: this.name,
      files,
      prober: this.#prober(agent),
      sink: this.#plants.keepRemovals ? { ...sinkOf(session), removed() {} } : session,
      zone: 'cluster.local',
      nodeFiles: { resolvConf: () => 'nameserver 192.0.2.1\n', hosts: () => '127.0.0.1 localhost\n' },
      allocatable: () => reporter.status()?.allocatable ?? {},
      nodePressure: () => reporter.pressure(),
      runtime,
      images,
      network,
      slice,
      clock,
      log,
      folders: { dataDir: '/data', runDir: '/run' },
    });
    this.pods = pods;
    await pods.start();
    if (knowsSettings) void session.run(signal);
  }

  /** Joining over the wire, but without certificates: those need the real world's time and chance. */
  async #join(agent: SimProcess): Promise<void> {
    const { servers } = this.#options;
    for (let attempt = 0; !this.#disk.has('identity'); attempt += 1) {
      const request: JoinRequest = { nodeName: this.name, machineID: this.#facts().machineID };
      const address = servers[attempt % servers.length]!;
      try {
        const call = this.#rpc.unary(agent, nobody, address, 'Bootstrap', 'Join', request);
        (await call) satisfies JoinResponse;
        this.#disk.set('identity', new Uint8Array());
      } catch (error) {
        if (!(error instanceof GantryError)) throw error;
        await agent.clock.sleep(200 + agent.random.next() * 1_000);
      }
    }
  }

  #transport(agent: SimProcess): SessionTransport {
    const peer = { commonName: `node:${this.name}`, organization: 'node', address: `${this.#options.nodeIP}:40000` };
    return {
      open: (address, requests, signal) =>
        this.#rpc.stream(agent, peer, address, 'NodeSession', 'Session', requests, {
          signal,
        }) as AsyncIterable<SessionDown>,
    };
  }

  /** http and tcp probes are answered by what runs; there is nothing to connect to. */
  #prober(agent: SimProcess): Prober {
    return {
      ask: (check) =>
        agent.effect(
          async () => {
            const runs = [...this.host.containers.values()].some(
              ({ status, config }) =>
                status.state === 'running' && (check.type === 'exec' || this.#addressOf(config.podUid) === check.host),
            );
            return runs ? { success: true, message: 'fine' } : { success: false, message: 'nothing answers' };
          },
          1 + agent.random.next() * 10,
        ),
    };
  }

  #addressOf(podUid: string): string | undefined {
    const inHost = this.host.sandboxes.get(podUid)?.config.hostNetwork;
    return inHost ? this.#options.nodeIP : this.network.attached.get(podUid)?.ip;
  }

  #diskAdapter(): {
    read(file: string): Promise<Uint8Array | undefined>;
    write(file: string, content: Uint8Array): Promise<void>;
  } {
    return {
      read: async (file) => this.#disk.get(file),
      write: async (file, content) => void this.#disk.set(file, content),
    };
  }

  #facts() {
    return {
      cpus: this.#options.cpus,
      memoryBytes: this.#options.memoryBytes,
      machineID: `machine-of-${this.name}`,
      bootID: `boot-${this.#boots}`,
      kernelVersion: '6.1',
      osImage: 'Simulated',
      architecture: 'amd64',
      hostname: this.name,
    };
  }
}

const sinkOf = ({ pod, removed, node, event }: StatusSink): StatusSink => ({ pod, removed, node, event });

const nobody = { commonName: '', organization: '', address: '192.0.2.1:40000' };

const healthyUsage = {
  diskBytes: 100 * gibibyte,
  diskFreeBytes: 80 * gibibyte,
  memoryAvailableBytes: 2 * gibibyte,
  processes: 100,
  maxProcesses: 32_768,
};

/** Notifications reach the agent when it runs. */
function heardBy(
  agent: SimProcess,
  onChange: (callback: (podUid: string) => void) => () => void,
): (callback: (podUid: string) => void) => () => void {
  return (callback) => onChange((podUid) => agent.world.after(0.1, () => agent.post(() => callback(podUid))));
}
