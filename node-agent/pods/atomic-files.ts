/**
 * ConfigMap and Secret volumes: all files change at one instant. The files lie in a folder of their own, `..data` is a
 * symbolic link to it and is switched by a rename, and each visible name is a link through `..data` (the layout that
 * programs which watch Kubernetes' volumes know).
 */
import {
  chmod,
  chown,
  lchown,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import type { VolumeFile, VolumeOwner } from './volumes.ts';

const dataLink = '..data';

export async function switchFiles(dir: string, files: readonly VolumeFile[], owner: VolumeOwner): Promise<void> {
  const before = await readlink(`${dir}/${dataLink}`).catch(() => undefined);
  if (before !== undefined && (await isUpToDate(`${dir}/${before}`, files))) return;
  const generation = `..${nextGeneration(before)}`;
  await rm(`${dir}/${generation}`, { recursive: true, force: true });
  await makeDir(`${dir}/${generation}`, owner);
  for (const file of files) await writeInto(`${dir}/${generation}`, file, owner);
  await rm(`${dir}/${dataLink}.new`, { force: true });
  await linkOwned(generation, `${dir}/${dataLink}.new`, owner);
  await rename(`${dir}/${dataLink}.new`, `${dir}/${dataLink}`);
  await linkNames(dir, files, owner);
  if (before !== undefined) await rm(`${dir}/${before}`, { recursive: true, force: true });
}

function nextGeneration(before: string | undefined): number {
  return Number(before?.slice(2) ?? 0) + 1;
}

async function isUpToDate(dir: string, files: readonly VolumeFile[]): Promise<boolean> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  if (names.filter((entry) => entry.isFile()).length !== files.length) return false;
  for (const file of files) {
    const present = await readFile(`${dir}/${file.path}`).catch(() => undefined);
    if (!present?.equals(file.data)) return false;
  }
  return true;
}

async function writeInto(dir: string, file: VolumeFile, owner: VolumeOwner): Promise<void> {
  const path = `${dir}/${file.path}`;
  const parents = file.path.split('/').slice(0, -1);
  for (let depth = 1; depth <= parents.length; depth += 1) {
    await makeDir(`${dir}/${parents.slice(0, depth).join('/')}`, owner);
  }
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, file.data);
  await chown(path, owner.uid, owner.gid);
  await chmod(path, owner.groupShared ? file.mode | ((file.mode & 0o700) >> 3) : file.mode);
}

async function makeDir(path: string, owner: VolumeOwner): Promise<void> {
  await mkdir(path, { recursive: true });
  await chown(path, owner.uid, owner.gid);
  await chmod(path, 0o755);
}

/** One link for each first path component; links of names that are gone are removed. */
async function linkNames(dir: string, files: readonly VolumeFile[], owner: VolumeOwner): Promise<void> {
  const wanted = new Set(files.map((file) => file.path.split('/')[0]!));
  const present = (await readdir(dir)).filter((name) => !name.startsWith('..'));
  for (const name of present) if (!wanted.has(name)) await rm(`${dir}/${name}`, { recursive: true, force: true });
  for (const name of wanted)
    if (!present.includes(name)) await linkOwned(`${dataLink}/${name}`, `${dir}/${name}`, owner);
}

async function linkOwned(target: string, path: string, owner: VolumeOwner): Promise<void> {
  await symlink(target, path);
  await lchown(path, owner.uid, owner.gid);
}
