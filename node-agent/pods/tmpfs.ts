/** Memory as a file system: mounting and unmounting tmpfs. */
import { chmod, readFile, statfs } from 'node:fs/promises';
import type { Exec } from '../../lib/process.ts';

/** TMPFS_MAGIC, statfs(2) */
const tmpfsMagic = 0x01021994;

export async function isTmpfs(dir: string): Promise<boolean> {
  return (await statfs(dir)).type === tmpfsMagic;
}

export async function mountTmpfs(dir: string, sizeBytes: number | undefined, exec: Exec): Promise<void> {
  const options = ['mode=0711', ...(sizeBytes === undefined ? [] : [`size=${sizeBytes}`])].join(',');
  await exec.check(['mount', '-t', 'tmpfs', '-o', options, 'gantry', dir]);
  await chmod(dir, 0o711);
}

/** Unmounts whatever is mounted at or below `dir`, deepest first. */
export async function unmountBelow(dir: string, exec: Exec): Promise<void> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  for (const point of mountPointsBelow(table, dir)) await exec.check(['umount', '--lazy', point]);
}

/** proc_pid_mountinfo(5): the fifth field is the mount point, with octal escapes. Pure. */
export function mountPointsBelow(table: string, dir: string): readonly string[] {
  return table
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((point) => point.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))))
    .filter((point) => point === dir || point.startsWith(`${dir}/`))
    .sort((a, b) => b.length - a.length);
}
