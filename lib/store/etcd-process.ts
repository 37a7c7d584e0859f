/**
 * The trace an etcd process leaves in its data folder, so that the next control plane can tell "our etcd from before,
 * still running" from "some other process that now has this pid".
 */
import { readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';

export interface ProcessRecord {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat (clock ticks since boot): pid and start time together name a process. */
  readonly startTime: string;
  /** What was started; a process started otherwise is not the one we want. */
  readonly argv: readonly string[];
}

const recordPath = (dataDir: string): string => join(dataDir, 'etcd.pid.json');

export async function writeRecord(dataDir: string, record: ProcessRecord): Promise<void> {
  const path = recordPath(dataDir);
  await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export async function removeRecord(dataDir: string): Promise<void> {
  await rm(recordPath(dataDir), { force: true });
}

/** The recorded process if it still runs, and is the one recorded. */
export async function readLiveRecord(dataDir: string): Promise<ProcessRecord | undefined> {
  let record: ProcessRecord;
  try {
    record = JSON.parse(await readFile(recordPath(dataDir), 'utf8')) as ProcessRecord;
  } catch {
    return undefined; // none, or cut off by a crash: there is nothing to adopt
  }
  return (await isRunning(record)) ? record : undefined;
}

export async function isRunning(record: Pick<ProcessRecord, 'pid' | 'startTime'>): Promise<boolean> {
  return (await startTimeOf(record.pid)) === record.startTime;
}

/** Absent when no such process runs; a zombie does not run. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // proc(5): "pid (comm) state ppid ..."; comm may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

/** Whether this very process listens on the TCP port (and not some other one that had it first). */
export async function listensOn(pid: number, port: number): Promise<boolean> {
  const inodes = new Set<string>();
  for (const table of ['tcp', 'tcp6']) {
    const text = await readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => '');
    for (const inode of listeningInodes(text, port)) inodes.add(`socket:[${inode}]`);
  }
  const folder = `/proc/${pid}/fd`;
  const descriptors = inodes.size === 0 ? [] : await readdir(folder).catch(() => []);
  const targets = await Promise.all(descriptors.map((name) => readlink(join(folder, name)).catch(() => '')));
  return targets.some((target) => inodes.has(target));
}

/** proc_net_tcp(5): columns "sl local_address rem_address st ... inode"; state 0A is LISTEN. */
export function listeningInodes(table: string, port: number): string[] {
  const rows = table.trim().split('\n').slice(1);
  return rows.flatMap((row) => {
    const fields = row.trim().split(/\s+/);
    const localPort = Number.parseInt(fields[1]?.split(':').at(-1) ?? '', 16);
    return fields[3] === '0A' && localPort === port ? [fields[9]!] : [];
  });
}

const pollMs = 20;
const stopGraceMs = 5000;

/** SIGTERM, and SIGKILL after a grace. Resolves when the process is gone; signals no other process that has its pid. */
export async function endProcess(target: ProcessRecord, clock: Clock): Promise<void> {
  const deadlineMs = clock.monotonicMs() + stopGraceMs;
  let killed = false;
  await signal(target, 'SIGTERM');
  while (await isRunning(target)) {
    if (!killed && clock.monotonicMs() >= deadlineMs) {
      killed = true;
      await signal(target, 'SIGKILL');
    }
    await clock.sleep(pollMs);
  }
}

async function signal(target: ProcessRecord, name: NodeJS.Signals): Promise<void> {
  if (!(await isRunning(target))) return;
  try {
    process.kill(target.pid, name);
  } catch {
    // it ended in between
  }
}
