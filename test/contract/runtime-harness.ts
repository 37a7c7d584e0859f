/** The two runtimes behind one set of handles: the fake host, and runc in folders and cgroups of the test's own. */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { createImageStorage } from '../../node-agent/images/storage.ts';
import { createFakeHost } from '../../node-agent/runtime/fake.ts';
import { identifyProcess } from '../../node-agent/runtime/processes.ts';
import { openRuncRuntime, type RuncRuntime } from '../../node-agent/runtime/runc.ts';
import type {
  ContainerConfig,
  ContainerStatus,
  ExecRequest,
  Runtime,
  SandboxConfig,
} from '../../node-agent/runtime/runtime.ts';
import { waitUntil } from '../../node-agent/runtime/wait.ts';
import { mountPointsBelow, startTestRegistry } from './images-registry.ts';

export interface RuntimeHarness {
  readonly real: boolean;
  readonly runtime: Runtime;
  readonly imageId: string;
  /** A folder for logs and volumes. */
  readonly dir: string;
  /** Nothing for the fake. */
  readonly cgroupParent: string;
  /** The agent dies and another one takes over the host. */
  restartAgent(): Promise<void>;
  readLog(path: string): Promise<string>;
  /** Every process of the node, its mounts and its run folder are gone; a new agent starts. */
  powerCut(): Promise<void>;
  removeImage(): Promise<void>;
  /** Whatever a container or sandbox could leave behind: records, mounts, cgroups, layers. Empty when all is gone. */
  leftovers(): Promise<readonly string[]>;
  dispose(): Promise<void>;
}

export async function fakeRuntimeHarness(host = createFakeHost({ clock: systemClock })): Promise<RuntimeHarness> {
  let runtime = host.runtime();
  return {
    real: false,
    imageId: 'image',
    dir: '/fake',
    cgroupParent: '',
    get runtime() {
      return runtime;
    },
    async restartAgent() {
      runtime.detach();
      runtime = host.runtime();
    },
    async powerCut() {
      runtime.detach();
      host.powerOff();
      runtime = host.runtime();
    },
    removeImage: async () => {},
    readLog: async (path) => host.logs.get(path) ?? '',
    leftovers: async () => [...host.containers.keys(), ...host.sandboxes.keys()],
    dispose: async () => {},
  };
}

export async function runcHarness(): Promise<RuntimeHarness> {
  const exec = systemExec();
  const dir = await mkdtemp(join(tmpdir(), 'gantry-runtime-'));
  await chmod(dir, 0o711);
  const folders = { dataDir: `${dir}/data`, runDir: `${dir}/run` };
  const cgroupParent = `/${basename(dir)}`;
  const registry = await startTestRegistry(exec);
  await registry.push('busybox:1');
  const images = createImageStorage({
    defaultRegistry: registry.address,
    insecureRegistries: [registry.address],
    exec,
    ...folders,
  });
  const image = await images.pull('busybox:1');
  await registry.dispose();
  await mkdir(`${dir}/logs`);

  const open = (): Promise<RuncRuntime> =>
    openRuncRuntime({ ...folders, cgroupParent, exec, clock: systemClock, log: silentLog });
  let runtime = await open();
  await runtime.check();

  const leftovers = async (): Promise<readonly string[]> => {
    const listed = async (folder: string): Promise<string[]> =>
      (await readdir(folder).catch(() => [])).map((name) => `${folder}/${name}`);
    const folderNames = ['data/pods', 'data/containers', 'data/exits', 'run/runc', 'run/exec'];
    const layers = (await listed(`${dir}/data/storage/overlay-containers`)).filter(
      (path) => !/containers\.(json|lock)$/.test(path),
    );
    return [
      ...(await Promise.all(folderNames.map((name) => listed(`${dir}/${name}`)))).flat(),
      ...layers,
      ...(await cgroupsBelow(cgroupParent)),
      ...mountPointsBelow(dir),
      ...(await processesOf(dir)),
    ];
  };
  return {
    real: true,
    imageId: image.id,
    dir,
    cgroupParent,
    get runtime() {
      return runtime;
    },
    async restartAgent() {
      runtime.close();
      runtime = await open();
    },
    async powerCut() {
      runtime.close();
      const { sandboxes } = await runtime.list();
      const pids = [
        ...(await processesOf(dir)).map((line) => Number.parseInt(line, 10)),
        ...sandboxes.map(({ pid }) => pid),
      ];
      const containers = (await runtime.list()).containers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
      // Shims first, so that none can write how its container ended.
      for (const pid of [...pids, ...containers]) process.kill(pid, 'SIGKILL');
      const dead = await waitUntil(
        systemClock,
        5000,
        () => ![...pids, ...containers].some((pid) => identifyProcess(pid)),
      );
      if (!dead) throw new Error('processes outlive SIGKILL');
      for (const point of mountPointsBelow(dir)) await exec.check(['umount', point]);
      await rm(`${dir}/run`, { recursive: true });
      runtime = await open();
    },
    removeImage: () => images.remove(image.id),
    readLog: (path) => readFile(path, 'utf8').catch(() => ''),
    leftovers,
    async dispose() {
      const { containers, sandboxes } = await runtime.list();
      for (const { id } of containers) await runtime.removeContainer(id);
      for (const { podUid } of sandboxes) await runtime.removeSandbox(podUid);
      runtime.close();
      for (const root of cgroupRoots()) if (existsSync(root + cgroupParent)) await rmdir(root + cgroupParent);
      await rm(dir, { recursive: true });
    },
  };
}

/** Where this host has any cgroup hierarchy mounted. */
function cgroupRoots(): readonly string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  return mounts.flatMap(([, point, type]) => (point && type?.startsWith('cgroup') ? [point] : []));
}

async function cgroupsBelow(parent: string): Promise<readonly string[]> {
  const groups = cgroupRoots().map(async (root) => {
    const entries = await readdir(root + parent, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${root}${parent}/${name}`);
  });
  return (await Promise.all(groups)).flat();
}

/** conmon and runc processes that name our folder. */
async function processesOf(dir: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (/(?:conmon|runc)\0/.test(words) && words.includes(dir)) found.push(`${pid} ${words.replaceAll('\0', ' ')}`);
  }
  return found;
}

/** What most tests want: one pod and containers in it, each with a log of its own, and waiting for states. */
export interface TestPod {
  readonly podUid: string;
  config(parts?: Partial<ContainerConfig>): ContainerConfig;
  /** Creates and starts; returns the id. */
  run(argv: readonly string[], parts?: Partial<ContainerConfig>): Promise<string>;
  /** Runs a shell script to its end; returns what it printed. */
  output(script: string, parts?: Partial<ContainerConfig>): Promise<string>;
  status(id: string): Promise<ContainerStatus | undefined>;
  untilExited(id: string): Promise<ContainerStatus>;
  log(id: string): Promise<string>;
  exec(id: string, argv: readonly string[], parts?: Partial<ExecRequest>): Promise<ExecOutcome>;
  removeContainers(): Promise<void>;
  remove(): Promise<void>;
}

export interface ExecOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

let pods = 0;
const idsPerPod = 65_536;
const firstId = 2_000_000;

export async function startPod(harness: RuntimeHarness, parts: Partial<SandboxConfig> = {}): Promise<TestPod> {
  pods += 1;
  const podUid = `pod${pods}`;
  let containers = 0;
  await harness.runtime.createSandbox({
    podUid,
    podName: podUid,
    podNamespace: 'default',
    hostname: podUid,
    userNamespace: { hostIdStart: firstId + pods * idsPerPod, size: idsPerPod },
    hostNetwork: false,
    hostPID: false,
    hostIPC: false,
    resources: {},
    ...parts,
  });
  const logPath = (id: string): string => `${harness.dir}/logs/${id}.log`;
  const status = async (id: string): Promise<ContainerStatus | undefined> =>
    (await harness.runtime.list()).containers.find((container) => container.id === id);
  const pod: TestPod = {
    podUid,
    status,
    config(given = {}) {
      containers += 1;
      const id = `${podUid}-main-${containers}`;
      return {
        id,
        podUid,
        name: 'main',
        attempt: containers,
        imageId: harness.imageId,
        argv: ['/bin/sleep', '1000'],
        env: {},
        workingDir: '/',
        user: '',
        mounts: [],
        resources: {},
        readOnlyRootFilesystem: false,
        privileged: false,
        capabilitiesAdd: [],
        capabilitiesDrop: [],
        terminal: false,
        stdin: false,
        logPath: logPath(id),
        logMaxBytes: 1_000_000,
        ...given,
      };
    },
    async run(argv, given = {}) {
      const config = pod.config({ argv, ...given });
      await harness.runtime.createContainer(config);
      await harness.runtime.startContainer(config.id);
      return config.id;
    },
    async output(script, given = {}) {
      const id = await pod.run(['/bin/sh', '-c', script], given);
      const { exitCode } = await pod.untilExited(id);
      const log = logLines(await pod.log(id)).map((line) => line.replace(/^\S+ [FP] /, ''));
      if (exitCode !== 0) throw new Error(`exit status ${exitCode}: ${log.join('\n')}`);
      return log.join('\n');
    },
    async untilExited(id) {
      let last: ContainerStatus | undefined;
      const exited = await waitUntil(systemClock, 20_000, async () => {
        last = await status(id);
        return last?.state === 'exited';
      });
      if (!exited) throw new Error(`container ${id} has not exited: ${JSON.stringify(last)}`);
      return last!;
    },
    log: (id) => harness.readLog(logPath(id)),
    async exec(id, argv, given = {}) {
      const session = await harness.runtime.exec({ containerId: id, argv, tty: false, stdin: false, ...given });
      const [stdout, stderr, exitCode] = await Promise.all([
        text(session.stdout),
        session.stderr ? text(session.stderr) : '',
        session.exitCode,
      ]);
      return { stdout, stderr, exitCode };
    },
    async removeContainers() {
      const { containers: all } = await harness.runtime.list();
      for (const { id } of all.filter((container) => container.podUid === podUid))
        await harness.runtime.removeContainer(id);
    },
    async remove() {
      await pod.removeContainers();
      await harness.runtime.removeSandbox(podUid);
    },
  };
  return pod;
}

export async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += chunk.toString();
  return all;
}

/** The lines of a CRI log without their times: `stdout F text`. */
export function logLines(log: string): readonly string[] {
  return log
    .split('\n')
    .slice(0, -1)
    .map((line) => line.replace(/^\S+ /, ''));
}
