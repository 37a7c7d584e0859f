/** Control groups, the effects: apply a plan, kill and remove a group, read what it uses. */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { type CgroupLayout, type CgroupPlan, cgroupDir, cgroupDirs } from './cgroup.ts';
import { waitUntil } from './wait.ts';

/** Makes the folders and writes the files, in order. */
export async function applyCgroupPlan(plan: readonly CgroupPlan[]): Promise<void> {
  for (const { dir, writes } of plan) {
    await mkdir(dir, { recursive: true });
    for (const { file, value } of writes) {
      await writeFile(`${dir}/${file}`, value).catch((cause: unknown) => {
        throw new GantryError('internal', `cannot write "${value}" to ${dir}/${file}: ${(cause as Error).message}`, {
          cause,
        });
      });
    }
  }
}

/** Pids in `path` and below, as this process's pid namespace sees them (0: outside it, left out). */
export async function pidsIn(layout: CgroupLayout, path: string): Promise<readonly number[]> {
  const found = new Set<number>();
  // A container's processes are in every hierarchy, so one tells; this one always counts them.
  const dir = cgroupDir(layout, 'pids', path) ?? cgroupDir(layout, 'memory', path);
  if (dir !== undefined) await collectPids(dir, found);
  return [...found];
}

async function collectPids(dir: string, found: Set<number>): Promise<void> {
  const text = await readFile(`${dir}/cgroup.procs`, 'utf8').catch(absent);
  if (text === undefined) return;
  for (const pid of text.split('\n')) if (Number(pid) > 0) found.add(Number(pid));
  for (const child of await childDirs(dir)) await collectPids(child, found);
}

const killPatienceMs = 10_000;

/** SIGKILL to everything in `path` and below, until nothing is left there. */
export async function killCgroup(layout: CgroupLayout, path: string, clock: Clock): Promise<void> {
  const gone = await waitUntil(clock, killPatienceMs, async () => {
    const pids = await pidsIn(layout, path);
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile, which is what we want.
      }
    }
    return pids.length === 0;
  });
  if (!gone) {
    throw new GantryError(
      'deadlineExceeded',
      `processes in cgroup ${path} outlive SIGKILL; is their disk or network file system hung?`,
    );
  }
}

/** Removes `path` and everything below in all hierarchies; absent is success. Kill what is inside first. */
export async function removeCgroup(layout: CgroupLayout, path: string, clock: Clock): Promise<void> {
  for (const dir of cgroupDirs(layout, path)) {
    // The kernel answers EBUSY for a moment after the last process has gone.
    const gone = await waitUntil(clock, killPatienceMs, () => removeTree(dir));
    if (!gone) throw new GantryError('internal', `cgroup ${dir} cannot be removed: something still runs in it`);
  }
}

async function removeTree(dir: string): Promise<boolean> {
  if (await removeDir(dir)) return true; // nearly always: listing a cgroup's folder costs far more than this
  for (const child of await childDirs(dir)) if (!(await removeTree(child))) return false;
  return removeDir(dir);
}

function removeDir(dir: string): Promise<boolean> {
  return rmdir(dir).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

async function childDirs(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(absent);
  return (entries ?? []).filter((entry) => entry.isDirectory()).map((entry) => `${dir}/${entry.name}`);
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENODEV') return undefined;
  throw error;
}

export interface CgroupUsage {
  readonly cpuUsageNanos: bigint;
  /** What is charged, less page cache that can be dropped at once: Kubernetes' "working set". */
  readonly memoryBytes: number;
  readonly pids: number;
}

/** What the group uses now; undefined when it is gone. */
export async function readUsage(layout: CgroupLayout, path: string): Promise<CgroupUsage | undefined> {
  const read = async (controller: string, file: string): Promise<string | undefined> => {
    const dir = cgroupDir(layout, controller, path);
    return dir === undefined ? '' : readFile(`${dir}/${file}`, 'utf8').catch(absent);
  };
  const names =
    layout.version === 2
      ? { cpu: 'cpu.stat', memory: 'memory.current', inactive: 'inactive_file' }
      : { cpu: 'cpuacct.usage', memory: 'memory.usage_in_bytes', inactive: 'total_inactive_file' };
  const [cpu, memory, stat, pids] = await Promise.all([
    read('cpuacct', names.cpu),
    read('memory', names.memory),
    read('memory', 'memory.stat'),
    read('pids', 'pids.current'),
  ]);
  if (cpu === undefined || memory === undefined || stat === undefined || pids === undefined) return undefined;
  const cpuUsageNanos = layout.version === 2 ? BigInt(field(cpu, 'usage_usec')) * 1000n : BigInt(cpu.trim() || 0);
  const memoryBytes = Math.max(0, Number(memory) - field(stat, names.inactive));
  return { cpuUsageNanos, memoryBytes, pids: Number(pids) };
}

function field(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}
