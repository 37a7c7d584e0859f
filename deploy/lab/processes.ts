/**
 * What the lab reads from /proc. A process is addressed by pid and start time together, because pids are used again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process that stays the same one for as long as both numbers match. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot (field 22 of /proc/PID/stat, proc(5)). */
  readonly startTime: number;
}

export interface ProcessInfo extends ProcessId {
  readonly parentPid: number;
  /** One letter of proc(5): R, S, D, Z ... */
  readonly state: string;
  /** The executable's name, at most 15 characters. */
  readonly command: string;
}

/** Parses /proc/PID/stat. The command is in parentheses and may itself hold spaces and parentheses. */
export function parseStat(stat: string): ProcessInfo | undefined {
  const open = stat.indexOf('(');
  const close = stat.lastIndexOf(')');
  const fields = stat.slice(close + 2).split(' ');
  if (open < 0 || close < open || fields.length < 20) return undefined;
  return {
    pid: Number(stat.slice(0, open)),
    command: stat.slice(open + 1, close),
    state: fields[0]!,
    parentPid: Number(fields[1]),
    startTime: Number(fields[19]),
  };
}

export function readProcess(pid: number): ProcessInfo | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseStat(stat);
}

/** Every process on the host, threads and zombies included only as far as /proc lists them at its top. */
export function listProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

/** A zombie counts as gone: only its parent can remove it, and on some hosts pid 1 takes its time. */
export function isAlive(id: ProcessId): boolean {
  const process = readProcess(id.pid);
  return process !== undefined && process.startTime === id.startTime && process.state !== 'Z' && process.state !== 'X';
}

/** Pure: `root` and all processes below it. */
export function descendants(processes: readonly ProcessInfo[], rootPid: number): ProcessInfo[] {
  const children = Map.groupBy(processes, (process) => process.parentPid);
  const found = processes.filter((process) => process.pid === rootPid);
  for (const parent of found) found.push(...(children.get(parent.pid) ?? []));
  return found;
}

export function argumentsOf(pid: number): string[] {
  return (readText(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1);
}

export function environmentOf(pid: number): string[] {
  return (readText(`/proc/${pid}/environ`) ?? '').split('\0');
}

/** The process's pid in every pid namespace it is in, ours first (NSpid of proc(5)). */
export function nestedPids(pid: number): number[] {
  const line = /^NSpid:\s+(.*)$/m.exec(readText(`/proc/${pid}/status`) ?? '');
  return (line?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number);
}

/** "net:[4026531840]", or undefined when the process is gone. */
export function namespaceOf(pid: number | 'self', kind: 'net' | 'mnt' | 'pid'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

/** Changes with every boot of the host: pids of another boot mean nothing. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** A file of /proc, or undefined when the process went away under us. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
