/** One agent per data folder: two would both think that the pods there are theirs. */
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { GantryError } from '../../lib/errors.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../runtime/processes.ts';

export interface DataDirLock {
  release(): Promise<void>;
}

/** Throws failedPrecondition while the agent that holds the lock lives. A lock of a dead agent is taken over. */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const path = `${dataDir}/agent.lock`;
  const self = identifyProcess(process.pid)!;
  const own = `${path}.${self.pid}`;
  await writeFile(own, JSON.stringify(self));
  try {
    if (!(await linkIfAbsent(own, path))) {
      const holder = await readHolder(path);
      if (holder && isAlive(holder) && holder.pid !== self.pid) {
        const message = `another node agent (pid ${holder.pid}) uses ${dataDir}; stop that one, or give this one its own --data-dir`;
        throw new GantryError('failedPrecondition', message);
      }
      await rename(own, path);
    }
  } finally {
    await rm(own, { force: true });
  }
  return {
    async release() {
      if ((await readHolder(path))?.pid === self.pid) await rm(path, { force: true });
    },
  };
}

/** A link appears with its content, all at once. */
async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

async function readHolder(path: string): Promise<ProcessIdentity | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return JSON.parse(text) as ProcessIdentity;
  } catch {
    return undefined; // its writer died in the middle
  }
}
