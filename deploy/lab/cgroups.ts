/** The lab's cgroups: `/gantry/<lab>/<machine>` in every hierarchy of the host, v1, v2 or hybrid. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readText } from './processes.ts';

/** Below every hierarchy's root, everything that belongs to a lab. */
export const cgroupRoot = 'gantry';

/** Mount points of the cgroup hierarchies, as this process sees them. */
export function hierarchies(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [mount, filesystem] = line.split(' - ');
    const type = filesystem?.split(' ')[0];
    const path = mount?.split(' ')[4];
    return path !== undefined && (type === 'cgroup' || type === 'cgroup2') ? [path] : [];
  });
}

/** Holds the lab's place, so that removing another lab never takes `/gantry` away while an agent is about to use it. */
export function createCgroups(path: string): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, path), { recursive: true });
}

/** Every cgroup at and below `path`, children first, in every hierarchy. */
export function listCgroups(path: string): string[] {
  return hierarchies().flatMap((hierarchy) => below(join(hierarchy, path)));
}

function below(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...children.flatMap((entry) => below(join(folder, entry.name))), folder];
  } catch {
    return []; // removed while we looked
  }
}

/** Host pids of every process in the cgroups at and below `path`. */
export function pidsInCgroups(path: string): Set<number> {
  const pids = new Set<number>();
  for (const folder of listCgroups(path)) {
    for (const line of (readText(join(folder, 'cgroup.procs')) ?? '').split('\n')) if (line) pids.add(Number(line));
  }
  return pids;
}

/** The part below `path` of the process's cgroup, from whichever hierarchy puts it there; "" when none does. */
export function cgroupBelow(pid: number, path: string): string {
  const lines = (readText(`/proc/${pid}/cgroup`) ?? '').split('\n');
  const found = lines
    .map((line) => line.split(':').slice(2).join(':'))
    .find((cgroup) => cgroup.startsWith(`/${path}/`));
  return found?.slice(path.length + 1) ?? '';
}

/** A frozen process does not act on SIGKILL in cgroup v1: thaw before killing. */
export function thaw(path: string): void {
  for (const folder of listCgroups(path)) {
    if (existsSync(join(folder, 'freezer.state'))) writeFileSync(join(folder, 'freezer.state'), 'THAWED');
  }
}

/** Removes what can be removed at and below `path`; returns the folders that are still in use. */
export function removeCgroups(path: string): string[] {
  const busy: string[] = [];
  for (const folder of listCgroups(path)) if (!removeFolder(folder)) busy.push(folder);
  return busy;
}

/** Removes the parents of `path` that nothing uses any more, up to the hierarchy's root. */
export function removeEmptyParents(path: string): void {
  for (const hierarchy of hierarchies()) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      if (!removeFolder(join(hierarchy, parent))) break;
    }
  }
}

function removeFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
