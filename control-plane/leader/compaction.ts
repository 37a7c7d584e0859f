/**
 * Keeps the store's history short, whoever runs the store: an etcd of its own cluster compacts only when it was told to,
 * and without that its database fills up with former revisions until it refuses writes.
 */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Store } from '../../lib/store/store.ts';
import { leaderKey } from './identity.ts';

export interface CompactionParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** The term's end. */
  readonly signal: AbortSignal;
}

const everyMs = 30_000;
const minuteMs = 60_000;
const mebibyte = 2 ** 20;

/**
 * Watches and paged lists that were away for less than this go on where they were. A store that is written so fast that
 * its history fills the database keeps less of it.
 */
export function keptMs(usedBytes: number): number {
  if (usedBytes < 256 * mebibyte) return 15 * minuteMs;
  if (usedBytes < 512 * mebibyte) return 5 * minuteMs;
  return usedBytes < 1024 * mebibyte ? 2 * minuteMs : minuteMs;
}

/** Where the store was at a moment. */
interface Mark {
  readonly revision: bigint;
  readonly atMs: number;
}

/** Resolves when the signal is aborted. */
export async function compactHistory({ store, clock, log, signal }: CompactionParts): Promise<void> {
  let marks: readonly Mark[] = [];
  let usedBytes = 0;
  while (!signal.aborted) {
    try {
      const atMs = clock.monotonicMs();
      const { revision } = await store.get(leaderKey);
      usedBytes = await mostUsed(store, usedBytes);
      const outlivedAtMs = atMs - keptMs(usedBytes);
      const outlived = marks.findLast((mark) => mark.atMs <= outlivedAtMs);
      if (outlived) {
        await store.compact(outlived.revision);
        log.debug({ revision: outlived.revision.toString(), usedBytes }, 'the history of the store was shortened');
      }
      marks = [...marks.filter((mark) => mark.atMs > outlivedAtMs), { revision, atMs }];
    } catch (error) {
      log.info({ cause: messageOf(error) }, 'cannot shorten the history of the store; trying again later');
    }
    await clock.sleep(everyMs, signal).catch(() => {});
  }
}

/** Of its members; what was known before when one does not answer. */
async function mostUsed(store: Store, before: number): Promise<number> {
  if (!store.databases) return 0;
  const found = await store.databases().catch(() => undefined);
  return found ? Math.max(0, ...found.map(({ usedBytes }) => usedBytes)) : before;
}
