/**
 * One change of labs at a time on a host: labs share the subnets, the cgroup `/gantry` and the folder of their states.
 * `flock` on an existing folder leaves no file behind, and the kernel releases it when we die.
 */

import { GantryError } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';

const sharedByLabs = '/var/lib';
const waitSeconds = 120;

export function withLabLock<T>(exec: Exec, work: () => Promise<T>): Promise<T> {
  return withFolderLock(exec, sharedByLabs, work);
}

export async function withFolderLock<T>(exec: Exec, folder: string, work: () => Promise<T>): Promise<T> {
  // `cat` ends, and the lock with it, when its input closes: by us, or because we are gone.
  const holder = exec.start(['flock', '--wait', String(waitSeconds), folder, 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('error', reject);
      holder.once('exit', () => {
        reject(
          new GantryError(
            'aborted',
            `another lab command has been at work in ${folder} for ${waitSeconds} s; try again when it ends`,
          ),
        );
      });
    });
    return await work();
  } finally {
    holder.stdin?.end();
    await ended;
  }
}
