/** A real lab for a test file: made once, broken and mended through the same functions as `ctl lab`, always removed. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureImages } from '../../deploy/images/build.ts';
import { addNode, ctl, up } from '../../deploy/lab/cluster.ts';
import {
  healMachine,
  killMachine,
  programLog,
  removeLab,
  requireRunning,
  setCable,
  setProgram,
  startMachine,
} from '../../deploy/lab/lab.ts';
import { enterArgv, type Host } from '../../deploy/lab/machine.ts';
import { joinTokenFile, nodeMachine } from '../../deploy/lab/programs.ts';
import { adminConfig, cloneFolder, machineData, requireMachine, requireState } from '../../deploy/lab/state.ts';
import { type LabProcess, type LabStatus, labStatus, type ProcessRole } from '../../deploy/lab/status.ts';
import { systemClock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { type RunResult, systemExec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { Api } from './api.ts';

export const host: Host = { exec: systemExec(), clock: systemClock };

export interface LabOptions {
  readonly nodes: number;
  readonly controlPlanes?: number;
  readonly scheduler?: string;
}

export interface RunningCtl {
  /** All it has printed so far. */
  stdout(): string;
  /** Ctrl-C; returns when it has ended. */
  end(): Promise<void>;
}

export interface Lab {
  readonly name: string;
  /** Path of ctl's configuration for this lab. */
  readonly config: string;
  /** First three numbers of the underlay, "10.88.0": registry .1, control plane .2, node-N .(10+N), host .254. */
  readonly subnet: string;
  /** The lab's API without ctl: for what is asked again and again. */
  readonly api: Api;
  /** Runs ctl against the lab, whatever its exit status. */
  ctl(args: readonly string[], options?: { input?: string }): Promise<RunResult>;
  /** Runs ctl and fails the test, with what ctl said, unless it succeeds. Returns its standard output. */
  check(args: readonly string[], options?: { input?: string }): Promise<string>;
  /** Starts ctl and lets it run: a watch, a follower. `end` it. */
  start(args: readonly string[]): RunningCtl;
  /** `ctl <args> -o json`, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
  json(args: readonly string[]): Promise<any>;
  /** `ctl apply -f -` of this manifest. */
  apply(manifest: string): Promise<string>;
  status(): Promise<LabStatus>;
  /** Host processes with this role, on one node or on all. */
  processes(role: ProcessRole, node?: string): Promise<readonly LabProcess[]>;
  /** Runs a command on a machine. */
  exec(machine: string, argv: readonly string[], options?: { input?: string }): Promise<RunResult>;
  /** The machine's /var/lib/gantry as a path on the host. */
  dataFolder(machine: string): string;
  kill(machine: string): Promise<void>;
  partition(machine: string): Promise<void>;
  heal(machine: string): Promise<void>;
  addNode(): Promise<string>;
  /** A node whose agent is told of one control plane alone; returns when it is Ready. */
  addNodeAt(server: string): Promise<string>;
  /** What a machine's program has logged, oldest first. */
  log(machine: string): LogLine[];
  /** Ends a machine's program (agent, control plane, registry) and keeps it down until `startProgram`. */
  stopProgram(machine: string): Promise<void>;
  startProgram(machine: string): Promise<void>;
  remove(): Promise<void>;
  /** Lets go of a lab that somebody else removes. */
  release(): void;
}

export interface LogLine {
  /** Epoch ms. */
  readonly time: number;
  readonly msg: string;
  readonly component?: string;
  readonly server?: string;
  readonly reason?: string;
}

function logOf(lab: string, machine: string): LogLine[] {
  const { program } = requireMachine(requireState(lab), machine);
  const text = readFileSync(join(machineData(lab, machine), 'log', `${program}.log`), 'utf8');
  return text.split('\n').flatMap((line) => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line)] : []));
}

/** Labs of this process: a wait in vain tells how they stand. */
const open = new Set<Lab>();

/** For `beforeAll`; pass the lab's `remove` to `afterAll`. Returns when every node is Ready. */
export async function startLab(options: LabOptions): Promise<Lab> {
  const name = `e2e-${systemRandom.suffix(5)}`;
  await ensureImages(host);
  try {
    await up(host, { name, ...options });
  } catch (error) {
    await removeLab(host, name);
    throw error;
  }
  return labNamed(name);
}

/** A lab that is up. */
export function labNamed(name: string): Lab {
  const run: Lab['ctl'] = (args, options) => ctl(host, name, args, options);
  const check: Lab['check'] = async (args, options) => {
    const result = await run(args, options);
    if (result.exitCode === 0) return result.stdout;
    throw new Error(`ctl ${args.join(' ')}: exit status ${result.exitCode}\n${result.stdout}${result.stderr}`);
  };
  const status = (): Promise<LabStatus> => labStatus(host.exec, requireState(name));
  const api = new Api(adminConfig(name));
  const lab: Lab = {
    name,
    config: adminConfig(name),
    api,
    subnet: requireState(name).subnet,
    ctl: run,
    check,
    start: (args) => startCtl(adminConfig(name), args),
    status,
    json: async (args) => JSON.parse(await check([...args, '-o', 'json'])),
    apply: (manifest) => check(['apply', '-f', '-'], { input: manifest }),
    async processes(role, node) {
      const { processes } = await status();
      return processes.filter((one) => one.role === role && (node === undefined || one.node === node));
    },
    exec(machine, argv, options) {
      return host.exec.run(enterArgv(requireRunning(requireState(name), machine), name, machine, argv), options);
    },
    dataFolder: (machine) => machineData(name, machine),
    async kill(machine) {
      await killMachine(host, name, machine);
    },
    async partition(machine) {
      await setCable(host, name, machine, false);
    },
    async heal(machine) {
      await healMachine(host, name, machine);
    },
    addNode: () => addNode(host, name),
    async addNodeAt(server) {
      const { subnet, machines } = requireState(name);
      const node = nodeMachine(name, subnet, machines.filter(({ role }) => role === 'node').length + 1);
      const token = await check(['token', 'create']);
      const at = node.command.indexOf('--server') + 1;
      await startMachine(host, name, { ...node, command: node.command.with(at, server) }, (data) =>
        writeFileSync(join(data, joinTokenFile), token, { mode: 0o600 }),
      );
      await waitFor(`${node.name} is Ready`, 30_000, () => api.isNodeReady(node.name));
      return node.name;
    },
    log: (machine) => logOf(name, machine),
    stopProgram: (machine) => setProgram(host, name, machine, false),
    startProgram: (machine) => setProgram(host, name, machine, true),
    remove: () => {
      lab.release();
      return removeLab(host, name);
    },
    release: () => {
      open.delete(lab);
      api.close();
    },
  };
  open.add(lab);
  return lab;
}

function startCtl(config: string, args: readonly string[]): RunningCtl {
  const argv = [join(cloneFolder, 'node_modules/.bin/node'), join(cloneFolder, 'cli/main.ts'), ...args];
  const env = { ...process.env, GANTRY_CONFIG: config };
  const child = host.exec.start(argv, { stdio: ['ignore', 'pipe', 'inherit'], env });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return {
    stdout: () => text,
    async end() {
      child.kill('SIGINT');
      await ended;
    },
  };
}

/** Pods, the newest events, and what the programs complained of last. */
async function stateOf(lab: Lab): Promise<string> {
  const parts: string[] = [];
  for (const args of [
    ['get', 'nodes,pods,endpoints', '-A', '-o', 'wide'],
    ['get', 'events', '-A', '--no-headers'],
  ]) {
    const { stdout, stderr } = await lab.ctl(args).catch((error) => ({ stdout: '', stderr: messageOf(error) }));
    parts.push(stdout.split('\n').slice(-40).join('\n'), stderr);
  }
  for (const machine of requireState(lab.name).machines) {
    const log = programLog(lab.name, machine, 200).split('\n');
    const complaints = log.filter((line) => !/"level":(10|20|30)\b/.test(line)).slice(-8);
    parts.push(...complaints.map((line) => `${machine.name}: ${line.slice(0, 400)}`));
  }
  return parts.filter((part) => part !== '').join('\n');
}

/**
 * Waits until `condition` returns something other than undefined and false, and returns it. An error it throws means
 * "not yet" and is quoted when time is up.
 */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const startedMs = systemClock.monotonicMs();
  let last = '';
  do {
    try {
      const result = await condition();
      if (result !== undefined && result !== false) return result;
      last = '';
    } catch (error) {
      last = `: ${messageOf(error)}`;
    }
    await systemClock.sleep(50);
  } while (systemClock.monotonicMs() - startedMs < timeoutMs);
  const states = await Promise.all([...open].map(stateOf));
  throw new Error([`not within ${timeoutMs} ms: ${what}${last}`, ...states].join('\n'));
}

/** Pods of a label selector ("app=echo") that are Running and Ready. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
export async function readyPods(lab: Lab, selector: string): Promise<any[]> {
  const { items } = await lab.json(['get', 'pods', '-l', selector]);
  return items.filter(
    // biome-ignore lint/suspicious/noExplicitAny: as above
    (pod: any) =>
      pod.status?.phase === 'Running' &&
      pod.metadata.deletionTimestamp === undefined &&
      pod.status.conditions?.some(
        (one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True',
      ),
  );
}
