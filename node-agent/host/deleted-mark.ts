/** `<data-dir>/node-deleted`: since when this machine's node has been deleted, for those who look at the machine. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { timestamp } from '../../lib/clock.ts';
import { writeFileAtomic } from '../../lib/pki/files.ts';

/** `sinceMs` undefined: it is a node. */
export async function markDeleted(dataDir: string, sinceMs: number | undefined): Promise<void> {
  const file = join(dataDir, 'node-deleted');
  if (sinceMs === undefined) await rm(file, { force: true });
  else await writeFileAtomic(file, `${timestamp(sinceMs)}\n`);
}
