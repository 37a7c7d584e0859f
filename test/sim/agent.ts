/**
 * The node agent on a simulated machine: the real session client, slice store and pod lifecycle over fakes of runtime,
 * images, network and disk. The wiring follows node-agent/main.ts.
 */
import type { Log } from '../../lib/log.ts';
import type { FakeWatchdog } from '../../node-agent/fencing/fake.ts';
import { createFencing } from '../../node-agent/fencing/fencing.ts';
import type { HostFacts } from '../../node-agent/host/facts.ts';
import { createNodeReporter, type NodeReporter } from '../../node-agent/host/node-reporter.ts';
import type { ImageStore } from '../../node-agent/images/images.ts';
import { VolumeRemover } from '../../node-agent/pods/persistent-dirs.ts';
import type { MemoryPodFiles } from '../../node-agent/pods/pod-files-memory.ts';
import { createPods, type Pods } from '../../node-agent/pods/pods.ts';
import type { StatusSink } from '../../node-agent/pods/report.ts';
import type { FakeHost } from '../../node-agent/runtime/fake.ts';
import type { Runtime } from '../../node-agent/runtime/runtime.ts';
import { DeletedNode } from '../../node-agent/session/deleted-node.ts';
import { createSessionClient } from '../../node-agent/session/session-client.ts';
import { openSliceStore, type SliceDisk } from '../../node-agent/session/slice-store.ts';
import { UsageReporter } from '../../node-agent/usage/reporter.ts';
import type { UsageWanted } from '../../proto/gen/types.ts';
import { join, proberOf, transportOf } from './agent-wires.ts';
import type { FakePodNetwork } from './fake-network.ts';
import type { SimProcess } from './process.ts';
import type { Rpc } from './rpc.ts';

/** What an agent finds; it outlives the agent. */
export interface Machine {
  readonly name: string;
  readonly nodeIP: string;
  readonly servers: readonly string[];
  readonly host: FakeHost;
  readonly network: FakePodNetwork;
  readonly files: MemoryPodFiles;
  readonly images: ImageStore;
  /** Files outside the pods' folders, by name. */
  readonly disk: Map<string, Uint8Array>;
  readonly facts: () => HostFacts;
  /** Lives on while the agent is dead or stands still. */
  readonly watchdog: FakeWatchdog;
}

/** Bugs that tests plant. */
export interface AgentPlants {
  /** What was attached to the network is never detached. */
  readonly leakAttachments?: boolean;
  /** The directories of volumes stay, whatever the agent says. */
  readonly leakDirectories?: boolean;
  /** Nobody hears that a pod is gone. */
  readonly keepRemovals?: boolean;
  /** There is something new to say whenever the agent looks at its machine. */
  readonly restless?: boolean;
  /** That its node was deleted is nothing to it. */
  readonly deafToDeletion?: boolean;
  /** Heartbeats count as acknowledged when they are sent. */
  readonly renewsItself?: boolean;
}

export interface AgentParts {
  readonly machine: Machine;
  readonly process: SimProcess;
  readonly rpc: Rpc;
  readonly log: Log;
  readonly plants: AgentPlants;
  readonly onPods: (pods: Pods) => void;
  /** The leader has said that the Node that this agent was welcomed as, by uid, was deleted. */
  readonly onNodeDeleted: (uid: string | undefined) => void;
}

const gibibyte = 2 ** 30;
const runtimeMethods = [
  'createSandbox',
  'removeSandbox',
  'createContainer',
  'startContainer',
  'signalContainer',
  'removeContainer',
  'exec',
  'list',
  'stats',
  'rotateLogs',
] as const;
const fileMethods = [
  'loadRecords',
  'saveRecord',
  'prepareVolumes',
  'prepareContainer',
  'removeVolumes',
  'removePod',
  'removePersistentDir',
] as const;

/** Resolves when the agent is up; rejects when it ends by itself. */
export async function runAgent(parts: AgentParts): Promise<void> {
  const { machine, process, rpc, log, plants, onPods } = parts;
  const { clock, random } = process;
  const { disk } = machine;
  const signal = new AbortController().signal;
  const runtimeDelayMs = (): number => 1 + random.next() * 20;
  const diskDelayMs = (): number => 0.2 + random.next() * 2;

  await join(machine, process, rpc);
  const sliceDisk = process.guard(adapterOf(disk), ['read', 'write'], diskDelayMs);
  const slice = await openSliceStore({ file: 'slice', disk: sliceDisk, clock, log });
  const images = process.guard(machine.images, ['find', 'pull', 'list', 'remove'], diskDelayMs);
  const reporter = createReporter(machine, process, plants.restless ? growing(images) : images, log);
  const fencing = createFencing(process.guard(machine.watchdog, ['guard', 'release'], diskDelayMs));
  const deletedNode = new DeletedNode({ nodeName: machine.name, slice, log, mark: async () => {} });
  let pods: Pods | undefined;
  let usage: UsageReporter | undefined;
  let usageWanted: UsageWanted = {};
  let remover: VolumeRemover | undefined;
  const volumesToRemove = new Set<string>();
  const welcomed = Promise.withResolvers<void>();
  const session = createSessionClient({
    servers: machine.servers,
    transport: transportOf(machine, process, rpc),
    node: () => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: machine.name, labels: { 'kubernetes.io/hostname': machine.name } },
      spec: {},
    }),
    podUIDs: () => pods?.uids() ?? [],
    onWelcome: ({ node }) => {
      deletedNode.welcomed();
      disk.set('node-uid', Buffer.from(node?.metadata.uid ?? ''));
      disk.set('settings', new Uint8Array());
      welcomed.resolve();
    },
    onNodeDeleted: (revision) => {
      parts.onNodeDeleted(disk.get('node-uid')?.toString());
      if (!plants.deafToDeletion) deletedNode.deleted(revision);
    },
    onUsageWanted: (wanted) => {
      usageWanted = wanted;
      usage?.want(wanted);
    },
    onRemoveVolumes: ({ paths = [] }) => {
      for (const path of paths) volumesToRemove.add(path);
      remover?.want({ paths });
    },
    lease: fencing,
    slice,
    clock,
    random,
    log,
  });
  await reporter.start((status) => session.node(status));
  void session.run(signal);

  const runtime = runtimeOf(machine, process, runtimeDelayMs);
  if (!disk.has('settings')) await welcomed.promise;
  const network = process.guard(machine.network, ['attach', 'detach', 'retain'], runtimeDelayMs);
  if (plants.leakAttachments) Object.defineProperty(network, 'detach', { value: async () => {} });
  const files = process.guard(machine.files, fileMethods, diskDelayMs);
  if (plants.leakDirectories) Object.defineProperty(files, 'removePersistentDir', { value: async () => {} });
  pods = createPods({
    nodeName: machine.name,
    files,
    prober: proberOf(machine, process),
    fencing,
    sink: plants.keepRemovals ? { ...sinkOf(session), removed() {} } : session,
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
  onPods(pods);
  const begun = pods;
  await begun.start();
  usage = new UsageReporter({
    ...{ runtime, clock, log },
    pod: (uid) => begun.pod(uid),
    send: (usages) => session.usage(usages),
  });
  usage.want(usageWanted);
  remover = new VolumeRemover({
    ...{ files, clock, log },
    pods: () => begun.uids().flatMap((uid) => begun.pod(uid) ?? []),
    removed: (paths) => session.volumesRemoved(paths),
  });
  remover.want({ paths: [...volumesToRemove] });
}

function createReporter(machine: Machine, { clock }: SimProcess, images: ImageStore, log: Log): NodeReporter {
  return createNodeReporter({
    nodeIP: machine.nodeIP,
    maxPods: 30,
    port: 10250,
    overlayMAC: '02:00:00:00:00:01',
    version: 'gantry-sim',
    runtimeVersion: 'runc://sim',
    host: { facts: async () => machine.facts(), usage: async () => healthyUsage },
    facts: machine.facts(),
    images,
    clock,
    log,
  });
}

/** Every image of it is larger at each look. */
function growing(images: ImageStore): ImageStore {
  let looks = 0;
  const list: ImageStore['list'] = async () => {
    looks += 1;
    return (await images.list()).map((image) => ({ ...image, sizeBytes: image.sizeBytes + looks }));
  };
  return Object.create(images, { list: { value: list } }) as ImageStore;
}

/** Its calls are effects, and it is told of changes when it runs. */
function runtimeOf({ host }: Machine, process: SimProcess, delayMs: () => number): Runtime {
  const runtime = host.runtime();
  process.onKill(() => runtime.detach());
  const onChange = runtime.onChange.bind(runtime);
  const heard = (callback: (podUid: string) => void): (() => void) =>
    onChange((podUid) => process.world.after(0.1, () => process.post(() => callback(podUid))));
  return process.guard(Object.assign(runtime, { onChange: heard }), runtimeMethods, delayMs);
}

function adapterOf(disk: Map<string, Uint8Array>): SliceDisk {
  return {
    read: async (file) => disk.get(file),
    write: async (file, content) => void disk.set(file, content),
  };
}

const sinkOf = ({ pod, removed, node, event }: StatusSink): StatusSink => ({ pod, removed, node, event });

const healthyUsage = {
  diskBytes: 100 * gibibyte,
  diskFreeBytes: 80 * gibibyte,
  memoryAvailableBytes: 2 * gibibyte,
  processes: 100,
  maxProcesses: 32_768,
};
