/** One agent per data folder: two would both think that the pods there are theirs. */
import { mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { GantryError } from '../../lib/errors.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../runtime/processes.ts';

export interface DataDirLock {
  release(): Promise<void>;
}

/**
 * Throws failedPrecondition while the agent that holds the lock lives. A lock of a dead agent is taken over. The lock is
 * a symbolic link whose target names the holder: it appears whole or not at all, and needs no room on a full disk.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const path = `${dataDir}/agent.lock`;
  const self = identifyProcess(process.pid)!;
  if (!(await linkIfAbsent(self, path))) {
    const holder = await readHolder(path);
    if (holder && isAlive(holder) && holder.pid !== self.pid) {
      const message = `another node agent (pid ${holder.pid}) uses ${dataDir}; stop that one, or give this one its own --data-dir`;
      throw new GantryError('failedPrecondition', message);
    }
    const own = `${path}.${self.pid}`;
    await rm(own, { force: true });
    await linkIfAbsent(self, own);
    await rename(own, path);
  }
  return {
    async release() {
      if ((await readHolder(path))?.pid === self.pid) await rm(path, { force: true });
    },
  };
}

async function linkIfAbsent({ pid, startTime }: ProcessIdentity, path: string): Promise<boolean> {
  return symlink(`${pid}:${startTime}`, path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

async function readHolder(path: string): Promise<ProcessIdentity | undefined> {
  const target = await readlink(path).catch(() => '');
  const at = target.indexOf(':');
  return at < 0 ? undefined : { pid: Number(target.slice(0, at)), startTime: target.slice(at + 1) };
}
