/** Whether this host can run containers at all, found out before the first pod rather than by it. */
import { access, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GantryError } from '../../lib/errors.ts';
import { storageArguments } from '../images/storage-layout.ts';
import type { RuntimeHost } from './host.ts';
import { letThrough } from './rootfs.ts';

/** Throws a GantryError that names the cure. */
export async function checkHost(host: RuntimeHost): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new GantryError('permissionDenied', 'the node agent needs root; start it with sudo');
  await access('/proc/self/ns/user').catch((cause: unknown) => {
    throw new GantryError('failedPrecondition', 'this kernel has no user namespaces; boot one with CONFIG_USER_NS', {
      cause,
    });
  });
  await mkdir(host.roots.root, { recursive: true });
  await Promise.all([host.options.dataDir, host.roots.root].map(letThrough));
  await checkWay(dirname(host.options.dataDir));
  const runc = await host.exec.run([host.runc, '--version']);
  if (runc.exitCode !== 0) throw new GantryError('failedPrecondition', `runc does not run: ${runc.stderr.trim()}`);
  const storage = await host.exec.run(['containers-storage', ...storageArguments(host.roots), 'status']);
  if (storage.exitCode !== 0) {
    const words = storage.stderr.trim().split('\n').at(-1);
    throw new GantryError(
      'failedPrecondition',
      `containers-storage cannot use ${host.roots.root} (${words}); it needs overlayfs on a disk file system`,
    );
  }
}

/** The root of a pod's user namespace is nobody special on the host, and must get to its root file system. */
async function checkWay(dir: string): Promise<void> {
  for (let at = dir; at !== '/'; at = dirname(at)) {
    const { mode } = await stat(at);
    if ((mode & 0o001) !== 0) continue;
    const message = `${at} is closed to others, so that pods cannot reach their root file systems; chmod o+x ${at}, or choose another data folder`;
    throw new GantryError('failedPrecondition', message);
  }
}
