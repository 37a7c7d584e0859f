/**
 * A replica that was removed for good (`ctl control-plane remove`) learns of it, ends, and does not come back by itself:
 * its former etcd member is no one any more, and its place may be another's. Known from `<data-dir>/removed`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { timestamp } from '../lib/clock.ts';
import { GantryError } from '../lib/errors.ts';
import { writeFileAtomic } from '../lib/pki/files.ts';

const markPath = (dataDir: string): string => join(dataDir, 'removed');

export function removedError(dataDir: string): GantryError {
  const cure = `to make it one again, empty ${dataDir} and start it with --join and a new token`;
  return new GantryError('notFound', `this control plane was removed from its cluster; ${cure}`);
}

/** Before anything is started. */
export function refuseIfRemoved(dataDir: string): void {
  if (existsSync(markPath(dataDir))) throw removedError(dataDir);
}

export async function markRemoved(dataDir: string, nowMs: number): Promise<void> {
  await writeFileAtomic(markPath(dataDir), `${timestamp(nowMs)}\n`);
}
