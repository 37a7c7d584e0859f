/**
 * One machine of a lab: its own net, mount, pid, uts and ipc namespaces under an init of its own, a data folder, and
 * one supervised program. Killing the init ends everything on the machine at once, which is what pulling the plug is.
 */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';
import { cgroupRoot, createCgroups, removeCgroups, thaw } from './cgroups.ts';
import { compileCacheFolder } from './compile-cache.ts';
import { isAlive, listProcesses, namespaceOf, type ProcessId, readProcess } from './processes.ts';
import { cloneFolder, type LabState, type MachineSpec, machineData, machineFolder, stateRoot } from './state.ts';

/** The outside world of the lab's code. */
export interface Host {
  readonly exec: Exec;
  readonly clock: Clock;
}

/** In the environment of every process of a machine: `<lab>/<machine>`. Finds what a crash left unrecorded. */
export const markerVariable = 'GANTRY_LAB_MACHINE';

export const machineCgroup = (lab: string, machine: string): string => `${cgroupRoot}/${lab}/${machine}`;

/** A clean environment: no proxies, certificates or editors of whoever ran the command. */
export function machineEnvironment(lab: string, machine: string): Record<string, string> {
  return {
    PATH: `${cloneFolder}/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/root',
    LANG: 'C.UTF-8',
    NODE_COMPILE_CACHE: compileCacheFolder,
    // One heap of the C library for all threads: several keep several times as much free memory.
    MALLOC_ARENA_MAX: '1',
    [markerVariable]: `${lab}/${machine}`,
  };
}

/** Pure. */
export function hostsFile(machines: readonly MachineSpec[]): string {
  const lines = machines.map((machine) => `${machine.address} ${machine.name}`);
  return `${['127.0.0.1 localhost', '::1 localhost ip6-localhost', ...lines].join('\n')}\n`;
}

/** The machine's files below the lab's folder, except its data. */
export function writeMachineFiles(state: LabState, machine: MachineSpec): void {
  const etc = join(machineFolder(state.name, machine.name), 'etc');
  mkdirSync(etc, { recursive: true });
  mkdirSync(machineData(state.name, machine.name), { recursive: true });
  writeFileSync(join(etc, 'hosts'), hostsFile(state.machines));
  writeFileSync(join(etc, 'hostname'), `${machine.name}\n`);
  writeFileSync(join(etc, 'resolv.conf'), '# The underlay of a lab has no name server.\n');
}

/** A machine whose init waits for its cable: `start` lets it run, `abandon` ends it. */
export interface BootingMachine {
  readonly init: ProcessId;
  start(): void;
  abandon(): void;
}

export async function boot(host: Host, state: LabState, machine: MachineSpec): Promise<BootingMachine> {
  writeMachineFiles(state, machine);
  createCgroups(machineCgroup(state.name, machine.name));
  const folder = machineFolder(state.name, machine.name);
  const log = openSync(join(folder, 'boot.log'), 'w');
  const child = host.exec.start(
    [
      ...['unshare', '--fork', '--pid', '--mount', '--net', '--uts', '--ipc', '--propagation', 'slave', '--'],
      ...['sh', join(cloneFolder, 'deploy/lab/boot.sh'), machine.name, cloneFolder, folder, stateRoot],
      ...[machine.program, ...machine.command],
    ],
    { detached: true, stdio: ['pipe', log, log], env: machineEnvironment(state.name, machine.name), cwd: '/' },
  );
  closeSync(log);
  child.on('error', () => {}); // reported below: it has no pid
  child.stdin?.on('error', () => {});
  const outside = child.pid;
  if (outside === undefined) throw new GantryError('internal', 'cannot run unshare; run "sh deploy/setup.sh"');
  const init = await childOf(host, outside, () => child.exitCode === null);
  if (!init) {
    const words = readFileSync(join(folder, 'boot.log'), 'utf8').trim();
    throw new GantryError('internal', `machine ${machine.name} did not boot: ${words || 'no init appeared'}`);
  }
  return {
    init,
    start() {
      child.stdin?.end('go\n');
      child.unref();
    },
    abandon() {
      child.stdin?.destroy();
      child.unref();
    },
  };
}

/** The first child of `parent`, as soon as it has a pid namespace of its own. */
async function childOf(host: Host, parent: number, wanted: () => boolean): Promise<ProcessId | undefined> {
  const deadline = host.clock.monotonicMs() + 10_000;
  while (wanted() && host.clock.monotonicMs() < deadline) {
    const child = listProcesses().find((process) => process.parentPid === parent && process.state !== 'Z');
    if (child && namespaceOf(child.pid, 'pid') !== namespaceOf('self', 'pid')) {
      return { pid: child.pid, startTime: child.startTime };
    }
    await host.clock.sleep(5);
  }
  return undefined;
}

/**
 * Ends machines at once, given the cgroup all of them are below and their inits, and removes that cgroup.
 * Already dead is success.
 */
export async function pullPlug(host: Host, cgroup: string, inits: readonly ProcessId[]): Promise<void> {
  thaw(cgroup);
  await killAndWait(host, inits);
  // Processes are out of /proc a moment before their cgroups can be removed.
  const deadline = host.clock.monotonicMs() + 10_000;
  for (let busy = removeCgroups(cgroup); busy.length > 0; busy = removeCgroups(cgroup)) {
    if (host.clock.monotonicMs() > deadline) {
      throw new GantryError('internal', `cgroups are still in use: ${busy.join(', ')}; see their cgroup.procs`);
    }
    await host.clock.sleep(20);
  }
}

/** SIGKILL, and back when the processes are gone. An init goes last: the kernel ends its whole pid namespace first. */
async function killAndWait(host: Host, ids: readonly ProcessId[]): Promise<void> {
  for (const id of ids) {
    if (isAlive(id)) kill(id.pid);
  }
  const deadline = host.clock.monotonicMs() + 20_000;
  for (const id of ids) {
    while (isAlive(id)) {
      if (host.clock.monotonicMs() > deadline) {
        const command = readProcess(id.pid)?.command ?? '';
        throw new GantryError('deadlineExceeded', `process ${id.pid} (${command}) does not end after SIGKILL`);
      }
      await host.clock.sleep(10);
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Pure: the argument vector that runs `command` on the machine, from the host. */
export function enterArgv(init: ProcessId, lab: string, machine: string, command: readonly string[]): string[] {
  const environment = Object.entries(machineEnvironment(lab, machine)).map(([key, value]) => `${key}=${value}`);
  return [
    ...['nsenter', '--target', String(init.pid), '--mount', '--uts', '--ipc', '--net', '--pid', '--wd=/', '--'],
    ...['env', ...environment, ...command],
  ];
}
