/**
 * What a lab remembers on disk, in /var/lib/gantry-lab/<lab>/:
 *   lab.json                 this state, written before anything is made and after every change
 *   admin.conf               ctl's configuration, copied from the control plane
 *   machines/<name>/data     the machine's /var/lib/gantry (its log folder included)
 *   machines/<name>/etc      the machine's hosts, hostname and resolv.conf
 * What the kernel knows better (alive, cable plugged) is asked of the kernel, not remembered.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { GantryError } from '../../lib/errors.ts';
import { bootId, isAlive, type ProcessId } from './processes.ts';

export const stateRoot = '/var/lib/gantry-lab';
/** Where a machine sees its own data folder; the empty folder has to exist on the host too. */
export const dataFolder = '/var/lib/gantry';
/** The clone this file belongs to. */
export const cloneFolder = resolve(import.meta.dirname, '../..');

export type MachineRole = 'registry' | 'control-plane' | 'node';

/** A machine's definition: what runs on it is data. */
export interface MachineSpec {
  readonly name: string;
  readonly role: MachineRole;
  readonly address: string;
  /** The one program the machine's supervisor keeps running, and the name of its log. */
  readonly program: string;
  readonly command: readonly string[];
}

export interface MachineRecord extends MachineSpec {
  /** The machine's init as the host sees it; absent while it is switched off. */
  readonly init?: ProcessId;
}

export interface LabState {
  readonly name: string;
  /** The first three numbers of the underlay's /24, as in "10.88.0". */
  readonly subnet: string;
  /** The host's boot in which the recorded processes were started. */
  readonly bootId: string;
  /** How many nodes it is to have; written before they are made, so that what was interrupted is finished. */
  readonly nodes?: number;
  readonly machines: readonly MachineRecord[];
}

export function checkLabName(name: string): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new GantryError(
      'invalidArgument',
      `lab name "${name}": use at most 32 lower case letters, digits and "-", with a letter or digit at both ends`,
    );
  }
}

export const labFolder = (lab: string): string => join(stateRoot, lab);
export const machineFolder = (lab: string, machine: string): string => join(labFolder(lab), 'machines', machine);
export const machineData = (lab: string, machine: string): string => join(machineFolder(lab, machine), 'data');
export const adminConfig = (lab: string): string => join(labFolder(lab), 'admin.conf');
const stateFile = (lab: string): string => join(labFolder(lab), 'lab.json');
/** Present when a lab made `dataFolder` on the host, so that the last lab removes it again. */
const madeDataFolder = join(stateRoot, '.made-data-folder');

/** Every lab that has a folder, half made ones included. */
export function labNames(): string[] {
  try {
    const entries = readdirSync(stateRoot, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
  } catch {
    return [];
  }
}

export function readState(lab: string): LabState | undefined {
  let text: string;
  try {
    text = readFileSync(stateFile(lab), 'utf8');
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as LabState;
  } catch (cause) {
    throw new GantryError('dataLoss', `${stateFile(lab)} is damaged; run "ctl lab down --name ${lab}"`, { cause });
  }
}

export function requireState(lab: string): LabState {
  const state = readState(lab);
  if (state) return state;
  const others = labNames();
  const hint = others.length > 0 ? ` (there is: ${others.join(', ')})` : '';
  throw new GantryError('notFound', `there is no lab "${lab}"${hint}; "ctl lab up --name ${lab}" makes one`);
}

export function requireMachine(state: LabState, name: string): MachineRecord {
  const machine = state.machines.find((candidate) => candidate.name === name);
  if (machine) return machine;
  const names = state.machines.map((candidate) => candidate.name).join(', ');
  throw new GantryError('notFound', `lab "${state.name}" has no machine "${name}"; its machines are ${names}`);
}

/** The machine's init if it runs now: recorded in this boot of the host, and still the same process. */
export function runningInit(state: LabState, machine: MachineRecord): ProcessId | undefined {
  return machine.init && state.bootId === bootId() && isAlive(machine.init) ? machine.init : undefined;
}

/** Renamed into place, so that a crash leaves the old state or the new one. */
export function writeState(state: LabState): void {
  mkdirSync(labFolder(state.name), { recursive: true, mode: 0o700 });
  writeFileSync(`${stateFile(state.name)}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${stateFile(state.name)}.new`, stateFile(state.name));
}

/** Pure: `state` with this machine added or replaced. */
export function withMachine(state: LabState, machine: MachineRecord): LabState {
  const others = state.machines.filter((other) => other.name !== machine.name);
  const machines = [...others, machine].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  return { ...state, machines };
}

/** Makes the folder machines mount their data on, if the host has none. */
export function createDataFolder(): void {
  if (mkdirSync(dataFolder, { recursive: true }) === undefined) return;
  mkdirSync(dirname(madeDataFolder), { recursive: true });
  writeFileSync(madeDataFolder, '');
}

/** Removes the lab's files; with the last lab also what labs share. Call with the lock held. */
export function removeLabFiles(lab: string): void {
  rmSync(labFolder(lab), { recursive: true, force: true });
  if (labNames().length > 0) return;
  try {
    readFileSync(madeDataFolder);
    rmdirSync(dataFolder);
  } catch {
    // Not made by a lab, or something of the user's is in it: it stays.
  }
  rmSync(stateRoot, { recursive: true, force: true });
}
