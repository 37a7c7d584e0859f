/** hostPath volumes: a path of the node itself, checked or made as the volume's type says. */

import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GantryError } from '../../lib/errors.ts';

const checks: Readonly<Record<string, { readonly what: string; readonly holds: (stats: Stats) => boolean }>> = {
  Directory: { what: 'a directory', holds: (stats) => stats.isDirectory() },
  DirectoryOrCreate: { what: 'a directory', holds: (stats) => stats.isDirectory() },
  File: { what: 'a file', holds: (stats) => stats.isFile() },
  FileOrCreate: { what: 'a file', holds: (stats) => stats.isFile() },
  Socket: { what: 'a socket', holds: (stats) => stats.isSocket() },
  CharDevice: { what: 'a character device', holds: (stats) => stats.isCharacterDevice() },
  BlockDevice: { what: 'a block device', holds: (stats) => stats.isBlockDevice() },
};

export async function prepareHostPath(plan: {
  readonly name: string;
  readonly path: string;
  readonly pathType: string;
}): Promise<void> {
  const { name, path, pathType } = plan;
  let stats = await stat(path).catch(() => undefined);
  if (!stats && pathType === 'DirectoryOrCreate') {
    await mkdir(path, { recursive: true, mode: 0o755 });
    stats = await stat(path);
  }
  if (!stats && pathType === 'FileOrCreate') {
    await mkdir(dirname(path), { recursive: true });
    await (await open(path, 'a', 0o644)).close();
    stats = await stat(path);
  }
  if (!stats) {
    const message = `volume "${name}": hostPath ${path} does not exist on this node; create it or use type DirectoryOrCreate`;
    throw new GantryError('failedPrecondition', message);
  }
  const check = checks[pathType];
  if (check && !check.holds(stats)) {
    throw new GantryError(
      'failedPrecondition',
      `volume "${name}": hostPath ${path} is not ${check.what}, as its type asks`,
    );
  }
}
