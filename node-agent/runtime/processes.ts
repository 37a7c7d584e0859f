/** Processes by pid *and* start time: a pid alone may by now belong to someone else. */
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat (clock ticks since boot), "@", and which boot. Unique together with the pid. */
  readonly startTime: string;
}

export interface ProcessStat {
  /** `R`, `S`, `Z` and so on. */
  readonly state: string;
  readonly parentPid: number;
  readonly startTime: string;
}

/** Parses /proc/PID/stat (proc_pid_stat(5)); the name in parentheses may contain anything. */
export function parseProcessStat(text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parentPid] = fields;
  const startTime = fields[19];
  if (!state || !startTime) return undefined;
  return { state, parentPid: Number(parentPid), startTime };
}

/** The process now running under `pid`, or undefined. Synchronous: procfs answers from memory, within microseconds. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  if (!stat || stat.state === 'Z' || stat.state === 'X') return undefined;
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { pid, startTime: `${stat.startTime}@${bootId}` };
}

let bootId: string | undefined;

/** Whether that very process still runs. A zombie does not. */
export function isAlive(process: ProcessIdentity | undefined): boolean {
  return process !== undefined && identifyProcess(process.pid)?.startTime === process.startTime;
}

/** Signals that very process; false when it is gone. */
export function signalProcess(target: ProcessIdentity | undefined, signal: NodeJS.Signals): boolean {
  if (!target || !isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined; // gone, or going: ENOENT and ESRCH both mean that
  }
}
