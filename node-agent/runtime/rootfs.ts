/** A container's root file system: a writable layer over the image's, made and mounted by containers-storage. */
import { chmod, chown, lstat, readFile, readlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GantryError } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';
import { type StorageRoots, storageArguments } from '../images/storage-layout.ts';
import { singleThreadedGo } from './host.ts';
import type { IdMapping } from './runtime.ts';

/**
 * One process instead of two, because starting one from Node costs more than the work it does here. A constant script: what it
 * is told comes as arguments ($1 image, $2 container, $3 id range or nothing, then the tool and its options).
 */
const createAndMount = `image=$1 id=$2 range=$3; shift 3
"$@" create-container --id "$id" \${range:+--uidmap "$range" --gidmap "$range"} "$image" > /dev/null && exec "$@" mount "$id"`;

/** Makes the layer of container `id` and mounts it; returns the path of the root. */
export async function mountRootfs(
  exec: Exec,
  roots: StorageRoots,
  id: string,
  imageId: string,
  mapping: IdMapping | undefined,
): Promise<string> {
  const range = mapping ? `0:${mapping.hostIdStart}:${mapping.size}` : '';
  const storage = ['containers-storage', ...storageArguments(roots)];
  const result = await exec.run(['sh', '-c', createAndMount, 'sh', imageId, id, range, ...storage], {
    env: singleThreadedGo,
  });
  const path = result.stdout.trim();
  if (result.exitCode !== 0 || !path.startsWith('/')) throw storageFailure(imageId, result.stderr);
  if (mapping) await openToUserNamespace(path, roots, mapping);
  return path;
}

/** Unmounts and deletes the layer; absent is success. */
export async function removeRootfs(exec: Exec, roots: StorageRoots, id: string): Promise<void> {
  const result = await exec.run(['containers-storage', ...storageArguments(roots), 'delete-container', id], {
    env: singleThreadedGo,
  });
  if (result.exitCode !== 0 && !/not known|is not a container|does not exist/.test(result.stderr)) {
    throw new GantryError('internal', `the layer of container ${id} could not be removed: ${lastLine(result.stderr)}`);
  }
}

/**
 * containers-storage shifts the owner of everything but the root folder itself, and keeps the way to it to the host's
 * root; the root of a user namespace is someone else, who owns the one and must get through the other.
 */
async function openToUserNamespace(path: string, roots: StorageRoots, { hostIdStart, size }: IdMapping): Promise<void> {
  const { uid, gid } = await lstat(path);
  const shift = (id: number): number => (id < size ? hostIdStart + id : id);
  await chown(path, shift(uid), shift(gid));
  await Promise.all([dirname(path), dirname(dirname(path)), roots.root].map(letThrough));
}

/** Lets everyone pass through a folder; who may list it does not change. */
export async function letThrough(dir: string): Promise<void> {
  const { mode } = await lstat(dir);
  if ((mode & 0o001) === 0) await chmod(dir, (mode & 0o7777) | 0o001);
}

function storageFailure(imageId: string, stderr: string): GantryError {
  const words = lastLine(stderr);
  if (/image not known|error locating image|does not exist/.test(stderr)) {
    return new GantryError('notFound', `image ${imageId.slice(0, 12)} is not on this node; pull it again`, {
      details: [words],
    });
  }
  if (/no space left|disk quota/i.test(stderr)) {
    return new GantryError('resourceExhausted', "no space left on the node's disk; free some or remove unused images", {
      details: [words],
    });
  }
  return new GantryError('internal', `the root file system could not be made: ${words}`);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

const longestChain = 40;

/**
 * Reads a file of the image as the container will see it: symbolic links are followed *inside* `root`, so that an image
 * cannot have us read a file of the host. Absent, or no regular file: empty.
 */
export async function readInRoot(root: string, path: string): Promise<string> {
  const pending = path.split('/').filter((part) => part !== '');
  const resolved: string[] = [];
  for (let links = 0; pending.length > 0; ) {
    const part = pending.shift()!;
    if (part === '.' || part === '') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const here = [root, ...resolved, part].join('/');
    const target = await readlink(here).catch(() => undefined);
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    links += 1;
    if (links > longestChain) return '';
    if (target.startsWith('/')) resolved.length = 0;
    pending.unshift(...target.split('/'));
  }
  const file = [root, ...resolved].join('/');
  const isFile = await lstat(file).then(
    (stat) => stat.isFile(),
    () => false,
  );
  return isFile ? readFile(file, 'utf8') : '';
}
