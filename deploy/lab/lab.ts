/**
 * A lab: machines on one host that are as apart as VMs are, joined by a private underlay. This file makes, breaks,
 * mends and removes them; it knows nothing of Gantry's programs (cluster.ts does), a machine's command is data.
 *
 * Every change holds the lab lock, is idempotent, and records a machine's init before letting it run: whatever is
 * interrupted, `removeLab` finds all of it, and making the lab again finishes it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, GantryError } from '../../lib/errors.ts';
import { cgroupRoot, pidsInCgroups, removeEmptyParents } from './cgroups.ts';
import { withLabLock } from './lock.ts';
import { boot, type Host, hostsFile, machineCgroup, markerVariable, pullPlug } from './machine.ts';
import { bootId, environmentOf, listProcesses, namespaceOf, type ProcessId } from './processes.ts';
import {
  checkLabName,
  createDataFolder,
  type LabState,
  labNames,
  type MachineRecord,
  type MachineSpec,
  machineFolder,
  readState,
  removeLabFiles,
  requireMachine,
  requireState,
  runningInit,
  withMachine,
  writeState,
} from './state.ts';
import { labStatus } from './status.ts';
import { buildRack, chooseSubnet, deleteHostLink, plug, ports, registryAddress, setPort, unplug } from './underlay.ts';

/** The lab's state, made if there is none: name, subnet, and no machines yet. */
export async function openLab(host: Host, name: string): Promise<LabState> {
  checkLabName(name);
  return withLabLock(host.exec, async () => {
    const known = readState(name);
    if (known) return known;
    createDataFolder();
    const used = labNames().flatMap((lab) => readState(lab)?.subnet ?? []);
    const subnet = await chooseSubnet(host.exec, used);
    const state: LabState = { name, subnet, bootId: bootId(), machines: [] };
    writeState(state);
    return state;
  });
}

export async function recordNodes(host: Host, lab: string, nodes: number): Promise<void> {
  await withLabLock(host.exec, async () => writeState({ ...requireState(lab), nodes }));
}

/**
 * Boots a machine (first the one with role `registry`: the rack that the others are plugged into), or leaves it alone
 * when it runs. `prepare` writes into its data folder before its program starts.
 */
export async function startMachine(
  host: Host,
  lab: string,
  spec: MachineSpec,
  prepare: (dataFolder: string) => void = () => {},
): Promise<void> {
  await withLabLock(host.exec, async () => {
    const state = atThisBoot(requireState(lab));
    const known = state.machines.find((machine) => machine.name === spec.name);
    const running = known && runningInit(state, known);
    if (running) return ensureCable(host, state, known, running);
    const rack = spec.role === 'registry' ? undefined : runningRack(state);
    const planned = withMachine(state, spec);
    writeState(planned);
    writeHosts(planned);
    await pullPlug(host, machineCgroup(lab, spec.name), []); // cgroups of a life before
    const machine = await boot(host, planned, spec);
    try {
      writeState(withMachine(planned, { ...spec, init: machine.init }));
      if (rack) {
        await plugIn(host, state, rack, spec, machine.init);
      } else {
        await buildRack(host.exec, lab, state.subnet, machine.init.pid);
      }
      prepare(join(machineFolder(lab, spec.name), 'data'));
      machine.start();
    } catch (error) {
      machine.abandon();
      throw error;
    }
  });
}

/** All cables are gone when the rack has died: a machine that runs on gets a new one. */
async function ensureCable(host: Host, state: LabState, machine: MachineSpec, init: ProcessId): Promise<void> {
  if (machine.role === 'registry') return;
  const rack = runningRack(state);
  if (!(await ports(host.exec, rack.pid)).has(machine.name)) await plugIn(host, state, rack, machine, init);
}

function plugIn(host: Host, state: LabState, rack: ProcessId, machine: MachineSpec, init: ProcessId): Promise<void> {
  const cable = { pid: init.pid, name: machine.name, address: machine.address };
  return plug(host.exec, rack.pid, cable, registryAddress(state.subnet));
}

/** Pids of another boot mean nothing: after a reboot of the host every machine is off. */
function atThisBoot(state: LabState): LabState {
  if (state.bootId === bootId()) return state;
  return { ...state, bootId: bootId(), machines: state.machines.map(switchedOff) };
}

function switchedOff({ init: _, ...machine }: MachineRecord): MachineRecord {
  return machine;
}

/** In place: the machines have these very files mounted. */
function writeHosts(state: LabState): void {
  for (const machine of state.machines) {
    const path = join(machineFolder(state.name, machine.name), 'etc/hosts');
    if (existsSync(path)) writeFileSync(path, hostsFile(state.machines));
  }
}

export function runningRack(state: LabState): ProcessId {
  const rack = state.machines.find((machine) => machine.role === 'registry');
  const init = rack && runningInit(state, rack);
  if (init) return init;
  throw new GantryError(
    'failedPrecondition',
    `the rack of lab "${state.name}" is not running; "ctl lab up --name ${state.name}" starts it again`,
  );
}

/** Pulls the plug: everything on the machine ends at once. Its data folder stays. False when it was off already. */
export async function killMachine(host: Host, lab: string, name: string): Promise<boolean> {
  return withLabLock(host.exec, async () => {
    const state = requireState(lab);
    const machine = requireCabledMachine(state, name);
    const init = runningInit(state, machine);
    await pullPlug(host, machineCgroup(lab, name), init ? [init] : []);
    await unplug(host.exec, runningRack(state).pid, name);
    writeState(withMachine(state, switchedOff(machine)));
    return init !== undefined;
  });
}

/** Cuts (`up: false`) or mends the machine's cable; what runs on it goes on. False when it was so already. */
export async function setCable(host: Host, lab: string, name: string, up: boolean): Promise<boolean> {
  return withLabLock(host.exec, async () => {
    const state = requireState(lab);
    requireCabledMachine(state, name);
    requireRunning(state, name);
    const rack = runningRack(state).pid;
    if ((await ports(host.exec, rack)).get(name) === up) return false;
    await setPort(host.exec, rack, name, up);
    return true;
  });
}

/** Boots a machine that is off, with the disk it had; mends the cable of one that runs. */
export async function healMachine(host: Host, lab: string, name: string): Promise<'booted' | 'healed' | 'unchanged'> {
  const state = requireState(lab);
  const machine = requireCabledMachine(state, name);
  if (!runningInit(state, machine)) {
    await startMachine(host, lab, switchedOff(machine));
    return 'booted';
  }
  const cabled = (await ports(host.exec, runningRack(state).pid)).has(name);
  if (!cabled) await startMachine(host, lab, machine); // with a new cable
  const mended = await setCable(host, lab, name, true);
  return cabled && !mended ? 'unchanged' : 'healed';
}

/** The rack is the underlay itself: without it there is nothing to mend. */
function requireCabledMachine(state: LabState, name: string): MachineRecord {
  const machine = requireMachine(state, name);
  if (machine.role !== 'registry') return machine;
  throw new GantryError('invalidArgument', `${name} is the lab's network switch; name one of the machines on it`);
}

/**
 * Ends a machine's program and keeps its supervisor from starting it again, or lets it: an outage of one program on a
 * machine that runs on.
 */
export async function setProgram(host: Host, lab: string, name: string, running: boolean): Promise<void> {
  const state = requireState(lab);
  const status = await labStatus(host.exec, state);
  const own = status.processes.filter((process) => process.node === name);
  const supervisor = own.find((process) => process.role === 'machine' && process.command === 'sh');
  requireRunning(state, name);
  assert(supervisor, `${name} has a supervisor`);
  process.kill(supervisor.pid, running ? 'SIGCONT' : 'SIGSTOP');
  const program = status.machines.find((machine) => machine.name === name)?.programPid;
  if (!running && program !== undefined) process.kill(program, 'SIGKILL');
}

/** The running machine's init, for entering its namespaces. */
export function requireRunning(state: LabState, name: string): ProcessId {
  const init = runningInit(state, requireMachine(state, name));
  if (init) return init;
  throw new GantryError('failedPrecondition', `${name} is switched off; "ctl lab heal ${name}" boots it`);
}

/** Removes everything that carries the lab's name, whatever state it is in. No such lab is success. */
export async function removeLab(host: Host, name: string): Promise<void> {
  checkLabName(name);
  await withLabLock(host.exec, async () => {
    const cgroup = `${cgroupRoot}/${name}`;
    const state = tryReadState(name);
    const inits = state?.machines.flatMap((machine) => runningInit(state, machine) ?? []) ?? [];
    await pullPlug(host, cgroup, [...inits, ...strayProcesses(name)]);
    removeEmptyParents(cgroup);
    await deleteHostLink(host.exec, name);
    removeLabFiles(name);
  });
}

function tryReadState(lab: string): LabState | undefined {
  try {
    return readState(lab);
  } catch {
    return undefined; // damaged, which is one more reason to remove it
  }
}

/** Recorded or not: a machine's processes carry its name in their environment, and its pods are in its cgroups. */
export function strayProcesses(lab: string): ProcessId[] {
  const marker = `${markerVariable}=${lab}/`;
  const inCgroups = pidsInCgroups(`${cgroupRoot}/${lab}`);
  const ourNet = namespaceOf('self', 'net');
  return listProcesses().filter((process) => {
    if (process.state === 'Z' || process.pid === globalThis.process.pid) return false;
    if (inCgroups.has(process.pid)) return true;
    const marked = environmentOf(process.pid).some((entry) => entry.startsWith(marker));
    return marked && namespaceOf(process.pid, 'net') !== ourNet;
  });
}

/** The last lines of the machine's program, for error messages. */
export function programLog(lab: string, machine: MachineSpec, lines = 5): string {
  try {
    const path = join(machineFolder(lab, machine.name), 'data/log', `${machine.program}.log`);
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
