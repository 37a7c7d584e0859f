/** What runs in a lab, asked of the kernel: machines, cables, and every process with its role. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Exec } from '../../lib/process.ts';
import { cgroupBelow, cgroupRoot } from './cgroups.ts';
import { argumentsOf, descendants, listProcesses, nestedPids, type ProcessInfo } from './processes.ts';
import { nodeDeletedFile } from './programs.ts';
import { type LabState, type MachineRecord, machineData, runningInit } from './state.ts';
import { ports } from './underlay.ts';

/**
 * `container` is a container's first process and `container-child` any other in it; `pause` holds a pod's namespaces;
 * `shim` is conmon; `machine` is what the lab itself runs on a machine (init, supervisor); `helper` is anything else.
 */
export type ProcessRole =
  | 'etcd'
  | 'control-plane'
  | 'node-agent'
  | 'registry'
  | 'container'
  | 'container-child'
  | 'pause'
  | 'shim'
  | 'machine'
  | 'helper';

export interface LabProcess {
  readonly role: ProcessRole;
  /** The machine's name. */
  readonly node: string;
  readonly pid: number;
  /** Clock ticks since boot (field 22 of /proc/PID/stat): with the pid, it names one process for ever. */
  readonly startTime: number;
  readonly command: string;
}

export type MachineState = 'Running' | 'Partitioned' | 'Killed';

export interface MachineStatus {
  readonly name: string;
  readonly role: string;
  readonly address: string;
  readonly state: MachineState;
  /** Host pid of the machine's program; absent while it is being started again. */
  readonly programPid?: number;
  readonly containers: number;
  /** The cluster has deleted its node, as its agent knows: it stops what it ran, until `ctl lab up` has it join again. */
  readonly nodeDeleted?: boolean;
}

export interface LabStatus {
  readonly name: string;
  readonly subnet: string;
  readonly machines: readonly MachineStatus[];
  readonly processes: readonly LabProcess[];
}

/** What a role is decided from; all pids are the host's. */
export interface ProcessFacts extends ProcessInfo {
  readonly arguments: readonly string[];
  /** The process's pid in each pid namespace, outermost first. */
  readonly nestedPids: readonly number[];
  /** Its cgroup below the lab's, which only pods have; else empty. */
  readonly podCgroup: string;
}

/** Pure: the role of every process of a machine, given all of them, its init first. */
export function roles(machine: MachineRecord, processes: readonly ProcessFacts[]): Map<number, ProcessRole> {
  const [init] = processes;
  const depth = init?.nestedPids.length ?? 0;
  const supervisor = processes.find((process) => process.parentPid === init?.pid && isSupervisor(process));
  const shims = new Set(processes.flatMap((process) => (process.command === 'conmon' ? [process.pid] : [])));
  const result = new Map<number, ProcessRole>();
  for (const process of processes) result.set(process.pid, roleOf(process));
  return result;

  function roleOf(process: ProcessFacts): ProcessRole {
    if (process === init || process === supervisor) return 'machine';
    if (process.parentPid === supervisor?.pid) return process.command === 'sleep' ? 'machine' : programRole(machine);
    if (process.command === 'conmon') return 'shim';
    if (process.podCgroup.endsWith('/pause')) return 'pause';
    const first = process.nestedPids.length > depth && process.nestedPids.at(-1) === 1;
    if (first || (process.podCgroup !== '' && shims.has(process.parentPid))) return 'container';
    if (process.nestedPids.length > depth || process.podCgroup !== '') return 'container-child';
    return process.command === 'etcd' ? 'etcd' : 'helper';
  }
}

const isSupervisor = (process: ProcessFacts): boolean =>
  process.arguments.some((word) => word.endsWith('/supervise.sh'));

function programRole(machine: MachineRecord): ProcessRole {
  return machine.role === 'node' ? 'node-agent' : machine.role;
}

export async function labStatus(exec: Exec, state: LabState): Promise<LabStatus> {
  const rack = state.machines.find((machine) => machine.role === 'registry');
  const rackInit = rack && runningInit(state, rack);
  // The rack may die while we ask: then no cable carries.
  const none: ReadonlyMap<string, boolean> = new Map();
  const cables = rackInit ? await ports(exec, rackInit.pid).catch(() => none) : none;
  const all = listProcesses().filter((process) => process.state !== 'Z');

  const machines: MachineStatus[] = [];
  const processes: LabProcess[] = [];
  for (const machine of state.machines) {
    const found = processesOf(state, machine, all);
    processes.push(...found);
    const program = found.find((process) => process.role === programRole(machine));
    machines.push({
      name: machine.name,
      role: machine.role,
      address: machine.address,
      state: stateOf(machine, found.length > 0, cables),
      ...(program && { programPid: program.pid }),
      containers: found.filter((process) => process.role === 'container').length,
      ...(existsSync(join(machineData(state.name, machine.name), nodeDeletedFile)) && { nodeDeleted: true }),
    });
  }
  return { name: state.name, subnet: state.subnet, machines, processes };
}

function stateOf(machine: MachineRecord, alive: boolean, cables: ReadonlyMap<string, boolean>): MachineState {
  if (!alive) return 'Killed';
  return machine.role === 'registry' || cables.get(machine.name) ? 'Running' : 'Partitioned';
}

function processesOf(state: LabState, machine: MachineRecord, all: readonly ProcessInfo[]): LabProcess[] {
  const init = runningInit(state, machine);
  if (!init) return [];
  const facts = descendants(all, init.pid).map((process) => ({
    ...process,
    arguments: argumentsOf(process.pid),
    nestedPids: nestedPids(process.pid),
    podCgroup: cgroupBelow(process.pid, `${cgroupRoot}/${state.name}`),
  }));
  const role = roles(machine, facts);
  return facts.map(({ pid, startTime, command }) => ({
    role: role.get(pid) ?? 'helper',
    node: machine.name,
    pid,
    startTime,
    command,
  }));
}
