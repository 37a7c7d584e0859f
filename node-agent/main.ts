/**
 * The node agent: joins the cluster, keeps a session with its control plane, and runs what the cluster places here.
 *
 * This file builds the adapters and wires them; it decides nothing. Everything that runs on the node outlives the
 * agent: SIGTERM ends the agent alone, and the next one adopts what it finds.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { systemClock } from '../lib/clock.ts';
import { GantryError, messageOf } from '../lib/errors.ts';
import { openCLibrary } from '../lib/libc.ts';
import { createLog, type Log } from '../lib/log.ts';
import { type Exec, systemExec } from '../lib/process.ts';
import { systemRandom } from '../lib/random.ts';
import type { Node, UsageWanted, Welcome } from '../proto/gen/types.ts';
import { startNodeDns } from './dns/node-dns.ts';
import { createFencing, lapseMs } from './fencing/fencing.ts';
import { openWatchdog } from './fencing/process.ts';
import {
  type ClusterSettings,
  readServers,
  readSettings,
  settingsOf,
  writeServers,
  writeSettings,
} from './host/cluster-settings.ts';
import { lockDataDir } from './host/data-dir-lock.ts';
import { markDeleted } from './host/deleted-mark.ts';
import type { HostFacts } from './host/facts.ts';
import { type AgentFlags, parseFlags } from './host/flags.ts';
import { createLinuxHost } from './host/linux.ts';
import { createNodeMeter } from './host/node-meter.ts';
import { createNodeReporter } from './host/node-reporter.ts';
import { keepResidentMemorySmall, ownMemory } from './host/resident-memory.ts';
import { createImageStorage } from './images/storage.ts';
import { overlayMAC } from './network/addresses.ts';
import { createPodNetwork } from './network/pod-network.ts';
import { VolumeRemover } from './pods/persistent-dirs.ts';
import { createDiskPodFiles } from './pods/pod-files-disk.ts';
import { createPods, type Pods } from './pods/pods.ts';
import { createProber } from './pods/prober.ts';
import { detectCgroups, processDirs } from './runtime/cgroup.ts';
import { openRuncRuntime } from './runtime/runc.ts';
import { startAgentServer } from './server/agent-service.ts';
import { createPodDirectory } from './server/pod-directory.ts';
import { DeletedNode } from './session/deleted-node.ts';
import { identityFile, keepRenewed, obtainIdentity } from './session/join.ts';
import { createSessionClient, rpcTransport } from './session/session-client.ts';
import { openSliceStore } from './session/slice-store.ts';
import { startStandIn } from './session/stand-in-host.ts';
import { UsageReporter } from './usage/reporter.ts';

const version = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version;

const concurrentDownloads = 3;
/** Log followers and execs are cut off after this. */
const serverGraceMs = 500;

/** What must be ended when the agent ends, last begun first. */
class Closers {
  readonly #closers: (() => unknown)[] = [];

  add(close: () => unknown): void {
    this.#closers.unshift(close);
  }

  async run(log: Log): Promise<void> {
    for (const close of this.#closers) {
      await Promise.resolve()
        .then(close)
        .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'a part of the agent did not end well'));
    }
  }
}

async function runAgent(flags: AgentFlags, log: Log, closers: Closers, signal: AbortSignal): Promise<void> {
  const clock = systemClock;
  const random = systemRandom;
  const exec = systemExec();
  const lock = await lockDataDir(flags.dataDir);
  closers.add(() => lock.release());

  // Whoever restarts has less than a lease to be back in session: what takes time begins now.
  const runtimeIsKnown = runtimeVersion(exec);
  const host = createLinuxHost({ dataDir: flags.dataDir, cgroupParent: flags.cgroupParent, random });
  const facts = await host.facts();
  const token = await readToken(flags);
  const servers = [...new Set([...flags.server, ...(await readServers(flags.dataDir))])];
  const identity = {
    dataDir: flags.dataDir,
    nodeName: flags.nodeName,
    machineID: facts.machineID,
    servers,
    ...(token !== undefined && { token }),
    ...{ clock, random, log },
  };
  const tls = await obtainIdentity(identity, signal);
  void keepRenewed(tls, identity, signal);

  const slice = await openSliceStore({ file: `${flags.dataDir}/slice`, clock, log });
  closers.add(() => slice.flush());
  const images = createImageStorage({
    defaultRegistry: flags.defaultRegistry,
    insecureRegistries: flags.insecureRegistry,
    dataDir: flags.dataDir,
    runDir: flags.runDir,
    // Their own: slow downloads must not keep containers from starting.
    exec: systemExec(concurrentDownloads),
  });
  const reporter = createNodeReporter({
    nodeIP: flags.nodeIp,
    maxPods: flags.maxPods,
    port: Number(flags.listen.split(':').at(-1)),
    overlayMAC: overlayMAC(flags.nodeIp),
    version: `gantry-${version}`,
    runtimeVersion: await runtimeIsKnown,
    ...{ host, facts, images, clock, log },
  });

  const cgroups = detectCgroups(readText('/proc/self/mountinfo'));
  const watchdog = openWatchdog({
    folder: `${flags.runDir}/fencing`,
    cgroupDirs: (uid) => (cgroups ? processDirs(cgroups, `${flags.cgroupParent}/pod${uid}`) : []),
    ...{ exec, clock, log },
  });
  closers.add(() => watchdog.close());
  const fencing = createFencing(watchdog);
  const standIn = startStandIn({
    identityFile: identityFile(flags),
    fencingFolder: `${flags.runDir}/fencing`,
    lapseMs,
    ...{ clock, log },
  });
  closers.add(() => standIn.stop());

  const deletedNode = new DeletedNode({
    nodeName: flags.nodeName,
    mark: (as) => markDeleted(flags.dataDir, as && clock.nowMs()),
    ...{ slice, log },
  });
  let pods: Pods | undefined;
  let usage: UsageReporter | undefined;
  let usageWanted: UsageWanted = {};
  let remover: VolumeRemover | undefined;
  const volumesToRemove = new Set<string>();
  const welcomed = Promise.withResolvers<ClusterSettings>();
  const session = createSessionClient({
    servers,
    transport: rpcTransport(tls),
    node: () => nodeObject(flags, facts),
    podUIDs: () => pods?.uids() ?? [],
    onServers: (known) => {
      writeServers(flags.dataDir, known).catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'the addresses of the control planes are not on disk'),
      );
    },
    onRemoveVolumes: ({ paths = [] }) => {
      for (const path of paths) volumesToRemove.add(path);
      remover?.want({ paths });
    },
    onUsageWanted: (wanted) => {
      usageWanted = wanted;
      usage?.want(wanted);
    },
    lease: fencing,
    standIn,
    onWelcome: (welcome) => {
      deletedNode.welcomed();
      void keepSettings(welcome, flags, log).then(welcomed.resolve, () => {});
    },
    onNodeDeleted: (revision) => deletedNode.deleted(revision),
    ...{ slice, clock, random, log },
  });
  await reporter.start((status) => session.node(status));
  closers.add(() => reporter.stop());
  // Before what runs here is looked at: that may outlast the lease, and a node that is lost loses its pods.
  const sessionEnded = session.run(signal);
  closers.add(() => sessionEnded);

  const runtime = await openRuncRuntime({
    dataDir: flags.dataDir,
    runDir: flags.runDir,
    cgroupParent: flags.cgroupParent,
    ...{ exec, clock, log },
  });
  closers.add(() => runtime.close());
  await runtime.check();

  const stored = await readSettings(flags.dataDir);
  const settings = stored ?? (await orAborted(welcomed.promise, signal));

  const network = createPodNetwork({
    nodeName: flags.nodeName,
    nodeIP: flags.nodeIp,
    ...settings,
    ...{ exec, log, clock, slice },
  });
  await network.start();
  closers.add(() => network.stop());
  const dns = await startNodeDns({ ...settings, slice, exec, clock, random, log });
  closers.add(() => dns.stop());

  const folders = { dataDir: flags.dataDir, runDir: flags.runDir };
  const files = createDiskPodFiles(folders, exec, log);
  pods = createPods({
    nodeName: flags.nodeName,
    files,
    prober: createProber(runtime, clock),
    fencing,
    sink: session,
    zone: settings.zone,
    nodeFiles: { resolvConf: () => readText('/etc/resolv.conf'), hosts: () => readText('/etc/hosts') },
    allocatable: () => reporter.status()?.allocatable ?? {},
    nodePressure: () => reporter.pressure(),
    ...{ runtime, images, network, slice, clock, log, folders },
  });
  const begun = pods;
  await begun.start();
  closers.add(() => begun.stop());
  const directory = createPodDirectory({ pods: begun, runtime, folders });
  usage = new UsageReporter({
    runtime,
    clock,
    log,
    pod: (uid) => begun.pod(uid),
    send: (usages) => session.usage(usages),
  });
  usage.want(usageWanted);
  closers.add(() => usage?.stop());
  remover = new VolumeRemover({
    ...{ files, clock, log },
    pods: () => directory.pods(),
    removed: (paths) => session.volumesRemoved(paths),
  });
  remover.want({ paths: [...volumesToRemove] });
  closers.add(() => remover?.stop());
  const node = createNodeMeter(flags.cgroupParent);
  const server = await startAgentServer({ listen: flags.listen, tls, runtime, directory, node, clock, log });
  closers.add(() => server.stop(serverGraceMs));
  // From the second start on, modules come from the compile cache (where there is one), without a compiler in memory.
  flushCompileCache();
  const memory = keepResidentMemorySmall(ownMemory(await openCLibrary()), clock, log);
  closers.add(() => memory.stop());
  log.info({ node: flags.nodeName, pods: begun.uids().length }, 'the node agent is up');
}

function nodeObject(flags: AgentFlags, facts: HostFacts): Node {
  const labels = {
    'kubernetes.io/hostname': flags.nodeName,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': facts.architecture,
    ...flags.labels,
  };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: flags.nodeName, labels }, spec: {} };
}

async function keepSettings(welcome: Welcome, flags: AgentFlags, log: Log): Promise<ClusterSettings> {
  const settings = settingsOf(welcome);
  if (!settings) throw new GantryError('internal', 'the control plane did not say what network the cluster has');
  const before = await readSettings(flags.dataDir);
  if (JSON.stringify(before) === JSON.stringify(settings)) return settings;
  if (before)
    log.warn({ before, settings }, "the cluster's network settings have changed; restart the agent to use them");
  await writeSettings(flags.dataDir, settings).catch((error: unknown) =>
    log.error(
      { error: messageOf(error) },
      'the cluster settings are not on disk; without a control plane a restart waits',
    ),
  );
  return settings;
}

async function readToken({ token, tokenFile }: AgentFlags): Promise<string | undefined> {
  if (token !== undefined || tokenFile === undefined) return token;
  const text = await readFile(tokenFile, 'utf8').catch(() => '');
  return text.trim() || undefined;
}

async function runtimeVersion(exec: Exec): Promise<string> {
  const result = await exec.run(['runc', '--version']).catch(() => undefined);
  return `runc://${/^runc version (\S+)/m.exec(result?.stdout ?? '')?.[1] ?? 'unknown'}`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function orAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    promise.then(resolve, reject);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

const flags = parseFlags(process.argv, version);
const log = createLog('node-agent', flags.logLevel);
const closers = new Closers();
const stopping = new AbortController();

/** A step of a pod that hangs must not keep a supervisor waiting; the next agent finishes or undoes it. */
const stopLimitMs = 10_000;

const stop = async (exitCode: number): Promise<void> => {
  systemClock.schedule(stopLimitMs, () => process.exit(exitCode));
  stopping.abort(new GantryError('cancelled', 'the node agent is stopping'));
  await closers.run(log);
  process.exit(exitCode);
};
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.once(name, () => {
    log.info({ signal: name }, 'stopping; what runs on this node keeps running');
    void stop(0);
  });
}

runAgent(flags, log, closers, stopping.signal).catch((error: unknown) => {
  if (stopping.signal.aborted) return;
  log.error({ details: error instanceof GantryError ? error.details : undefined }, messageOf(error));
  void stop(1);
});
