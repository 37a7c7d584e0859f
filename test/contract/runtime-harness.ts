/** The two runtimes behind one set of handles: the fake host, and runc in folders and cgroups of the test's own. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { createImageStorage } from '../../node-agent/images/storage.ts';
import { cgroupDirs, detectCgroups } from '../../node-agent/runtime/cgroup.ts';
import { createFakeHost } from '../../node-agent/runtime/fake.ts';
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
  /** The agent dies and another one takes over the host. */
  restartAgent(): Promise<void>;
  readLog(path: string): Promise<string>;
  /** Whatever a container or sandbox could leave behind: records, mounts, cgroups, layers. Empty when all is gone. */
  leftovers(): Promise<readonly string[]>;
  dispose(): Promise<void>;
}

export async function fakeRuntimeHarness(): Promise<RuntimeHarness> {
  const host = createFakeHost({ clock: systemClock });
  let runtime = host.runtime();
  return {
    real: false,
    imageId: 'image',
    dir: '/fake',
    get runtime() {
      return runtime;
    },
    async restartAgent() {
      runtime.detach();
      runtime = host.runtime();
    },
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
  const cgroupParent = `/gantry-test-${process.pid}`;
  const layout = detectCgroups(await readFile('/proc/self/mountinfo', 'utf8'))!;
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
    const cgroups = await Promise.all(
      cgroupDirs(layout, cgroupParent).map(async (group) => {
        const entries = await readdir(group, { withFileTypes: true }).catch(() => []);
        return entries.filter((entry) => entry.isDirectory()).map((entry) => `${group}/${entry.name}`);
      }),
    );
    return [
      ...(await Promise.all(folderNames.map((name) => listed(`${dir}/${name}`)))).flat(),
      ...layers,
      ...cgroups.flat(),
      ...mountPointsBelow(dir),
      ...(await processesOf(dir)),
    ];
  };
  return {
    real: true,
    imageId: image.id,
    dir,
    get runtime() {
      return runtime;
    },
    async restartAgent() {
      runtime.close();
      runtime = await open();
    },
    readLog: (path) => readFile(path, 'utf8').catch(() => ''),
    leftovers,
    async dispose() {
      const { containers, sandboxes } = await runtime.list();
      for (const { id } of containers) await runtime.removeContainer(id);
      for (const { podUid } of sandboxes) await runtime.removeSandbox(podUid);
      runtime.close();
      for (const group of cgroupDirs(layout, cgroupParent)) if (existsSync(group)) await rmdir(group);
      await rm(dir, { recursive: true });
    },
  };
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
  status(id: string): Promise<ContainerStatus | undefined>;
  untilExited(id: string): Promise<ContainerStatus>;
  log(id: string): Promise<string>;
  exec(id: string, argv: readonly string[], parts?: Partial<ExecRequest>): Promise<ExecOutcome>;
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
    async remove() {
      const { containers: all } = await harness.runtime.list();
      for (const { id } of all.filter((container) => container.podUid === podUid))
        await harness.runtime.removeContainer(id);
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
