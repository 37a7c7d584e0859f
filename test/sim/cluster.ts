/** A whole simulated cluster: replicas over one etcd, machines with agents, users, watchers, and the checkers. */
import { type ObjectCodec, sealedCodec } from '../../control-plane/state/object-codec.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { conditionStatus } from '../../lib/model/conditions.ts';
import { createKeyring } from '../../lib/model/stored.ts';
import type { Authority } from '../../lib/pki/certificates.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { FakeRegistry } from '../../node-agent/images/fake.ts';
import type { KubeObject, Node } from '../../proto/gen/types.ts';
import { Administrator } from './administrator.ts';
import type { AgentPlants } from './agent.ts';
import { HostChecker } from './host-checker.ts';
import { createRegistry } from './images.ts';
import { Network } from './network.ts';
import { SimNode } from './node.ts';
import { SimProcess } from './process.ts';
import { addressOfReplica, SimReplica } from './replica.ts';
import { Rpc } from './rpc.ts';
import { sharedCodec } from './shared-codec.ts';
import type { EtcdHealth, SimEtcd, StorePlants } from './store.ts';
import { StoreChecker } from './store-checker.ts';
import { SimUser } from './users.ts';
import type { Invariant, Violation } from './violations.ts';
import { ApiWatcher, watchMirror } from './watch-checker.ts';
import type { View } from './workloads/workload.ts';
import { configurationProblemsOf, problemsOf } from './workloads/workloads.ts';
import type { World } from './world.ts';

export interface Plants extends StorePlants, AgentPlants {
  /** How the replicas read objects; the checkers read them right. */
  readonly codec?: (codec: ObjectCodec) => ObjectCodec;
}

export interface ClusterOptions {
  readonly replicas: number;
  readonly nodes: number;
  readonly users: number;
  readonly mostPods: number;
  /** What users make; default everything. */
  readonly kinds?: readonly KubeObject['kind'][];
  readonly authority: Authority;
  readonly plants?: Plants;
  /** Clocks of processes run up to this much too fast or too slow. */
  readonly clockDrift?: number;
  readonly onLog?: (line: string) => void;
}

const gibibyte = 2 ** 30;
/** A thousand would tell no more. */
const mostViolations = 20;

export class SimCluster {
  readonly world: World;
  readonly network: Network;
  readonly rpc: Rpc;
  readonly etcd: SimEtcd;
  readonly checker: StoreChecker;
  readonly hosts: HostChecker;
  readonly replicas: SimReplica[] = [];
  readonly nodes: SimNode[] = [];
  readonly users: SimUser[] = [];
  readonly violations: Violation[] = [];
  readonly registry: FakeRegistry = createRegistry();
  readonly servers: readonly string[];
  readonly view: View;
  readonly #options: ClusterOptions;
  readonly administrator: Administrator;
  readonly #mirrors = new Map<SimProcess, { checkNow(): void }>();

  constructor(world: World, options: ClusterOptions) {
    this.world = world;
    this.#options = options;
    const names = Array.from({ length: options.replicas }, (_, index) => `cp${index + 1}`);
    this.servers = names.map(addressOfReplica);
    this.network = new Network(world);
    this.rpc = new Rpc(this.network, (error) => this.report('no-crash', `a handler failed: ${stackOf(error)}`));
    const codec = sharedCodec(sealedCodec(createKeyring(world.random.bytes(32), world.fork())));
    this.checker = new StoreChecker(codec, this.report);
    this.etcd = this.#startEtcd();
    this.hosts = new HostChecker(() => this.nodes, this.checker, this.report);
    this.view = {
      list: (kind) => this.checker.list(kind),
      runs: (nodeName, uid) => this.hosts.runs(nodeName, uid),
      volume: (nodeName, uid, volume) => this.hosts.volume(nodeName, uid, volume),
    };
    for (const name of names) this.#addReplica(name, codec);
    for (let index = 0; index < options.nodes; index += 1) this.addNode();
    for (let index = 0; index < options.users; index += 1) this.users.push(this.#makeUser(`u${index + 1}`));
    this.administrator = new Administrator(world, this.#makeUser('admin'));
    this.#addWatchers();
  }

  report = (invariant: Invariant, message: string): void => {
    this.world.trace('VIOLATED', `${invariant}: ${message}`);
    if (this.violations.length < mostViolations) this.violations.push({ invariant, atMs: this.world.nowMs, message });
  };

  start(): void {
    for (const replica of this.replicas) replica.start();
    for (const node of this.nodes) node.startAgent();
  }

  /** A machine that asks to join when its agent starts. */
  addNode(): SimNode {
    const number = this.nodes.length + 1;
    const options = {
      name: `n${number}`,
      nodeIP: `10.0.0.${10 + number}`,
      cpus: number % 2 === 0 ? 1 : 2,
      memoryBytes: 4 * gibibyte,
      servers: this.servers,
      clockRate: this.#clockRate(),
      registry: this.registry,
      log: (process: SimProcess) => this.#logOf(process),
      onChange: (uid: string) => this.hosts.changed(uid),
      onNodeDeleted: (uid: string | undefined) => this.hosts.toldDeleted(node, uid, this.checker),
      onVolumeRemoved: (path: string) => this.hosts.volumeRemoved(node, path, this.checker),
    };
    const node: SimNode = new SimNode(this.world, this.rpc, options, this.#options.plants);
    this.nodes.push(node);
    return node;
  }

  /** Why the cluster is not at rest and as wanted; empty when it is. */
  problems(): string[] {
    const stored = this.checker.list('Node');
    const ready = new Set(stored.filter(isReady).map(({ metadata }) => metadata.name));
    const present = this.nodes.filter(({ left }) => !left).map(({ name }) => name);
    const names = new Set([...present, ...stored.map(({ metadata }) => metadata.name)]);
    const lost = [...names].filter((name) => !ready.has(name)).map((name) => `node ${name} is not ready`);
    return [...lost, ...problemsOf(this.view), ...this.configurationProblems(), ...this.leaks()];
  }

  configurationProblems(): string[] {
    return configurationProblemsOf(this.view);
  }

  leaks(): string[] {
    return [...this.hosts.leaks(this.checker), ...this.checker.leakedAllocations()];
  }

  checkMirrors(): void {
    for (const [process, mirror] of this.#mirrors) {
      if (process.alive) mirror.checkNow();
      else this.#mirrors.delete(process);
    }
  }

  #startEtcd(): SimEtcd {
    const health: EtcdHealth = { available: true, slowMs: 0, ambiguousShare: 0, election: undefined };
    const process = new SimProcess(this.world, { name: 'etcd', host: 'etcd' });
    const etcd: SimEtcd = {
      health,
      writerOf: () => undefined,
      memory: createMemoryStore({
        clock: process.clock,
        onApplied: (events, revision) => {
          const parts = [...Map.groupBy(events, ({ key }) => etcd.writerOf(key))];
          for (const [writer, written] of parts) {
            const who = writer ? (writer.operation ?? writer.process.name) : 'etcd';
            const keys = written.map(({ type, key }) => `${type} ${key}`).join(', ');
            this.world.trace('store', `${revision} by ${who}: ${keys}`);
          }
          this.checker.applied(parts, revision);
        },
      }),
    };
    return etcd;
  }

  #addReplica(name: string, codec: ObjectCodec): void {
    const { authority, plants = {} } = this.#options;
    const read = plants.codec?.(codec) ?? codec;
    this.replicas.push(
      new SimReplica(this.world, this.rpc, {
        name,
        clockRate: this.#clockRate(),
        etcd: this.etcd,
        codec: read,
        authority,
        plants,
        log: (process) => this.#logOf(process),
        onBug: (process, error) => this.report('no-crash', `${process.name} ended: ${stackOf(error)}`),
        onStarted: (process, controlPlane) =>
          this.#mirrors.set(process, watchMirror(process, controlPlane, this.checker, this.report)),
      }),
    );
  }

  #makeUser(name: string): SimUser {
    const { checker, report, servers } = this;
    const { mostPods, kinds } = this.#options;
    const options = { servers, checker, report, mostPods, pauseMs: 1_500, ...(kinds && { kinds }) };
    return new SimUser(this.world, this.rpc, name, options);
  }

  #addWatchers(): void {
    const { rpc, servers, checker, report } = this;
    for (const kind of ['Pod', 'Deployment', 'ConfigMap'] as const) {
      const process = new SimProcess(this.world, { name: `watch-${kind}`, host: 'users' });
      void new ApiWatcher({ process, rpc, servers, kind, checker, report }).run();
    }
  }

  #clockRate(): number {
    const { clockDrift = 0 } = this.#options;
    return 1 + clockDrift * (2 * this.world.random.next() - 1);
  }

  #logOf(process: SimProcess): Log {
    const { onLog } = this.#options;
    const line = (level: string, fields: object, message: string): void => {
      if (!process.alive) return;
      // A mistake of ours, not of the world: a loop that caught it goes on, the simulation does not.
      if ('stack' in fields && fields.stack) this.report('no-crash', `${process.name}: ${message}: ${fields.stack}`);
      onLog?.(
        `${this.world.nowMs.toFixed(3).padStart(12)} ${process.name} ${level} ${message} ${JSON.stringify(fields)}\n`,
      );
    };
    const log: Log = {
      debug() {},
      info: (fields, message) => line('info', fields, message),
      warn: (fields, message) => line('warn', fields, message),
      error: (fields, message) => line('error', fields, message),
      child: () => log,
    };
    return log;
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}

const isReady = ({ status }: Node): boolean => conditionStatus(status?.conditions, 'Ready') === 'True';
