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

const everyMs = 300_000;
/** Watches and paged lists that were away for less than this go on where they were. */
const keptMs = 900_000;

/** Resolves when the signal is aborted. */
export async function compactHistory({ store, clock, log, signal }: CompactionParts): Promise<void> {
  let seen: { readonly revision: bigint; readonly atMs: number }[] = [];
  while (!signal.aborted) {
    try {
      const atMs = clock.monotonicMs();
      const { revision } = await store.get(leaderKey);
      const outlived = seen.findLast((mark) => mark.atMs + keptMs <= atMs);
      if (outlived) await store.compact(outlived.revision);
      seen = [...seen.filter((mark) => mark.atMs + keptMs > atMs), { revision, atMs }];
    } catch (error) {
      log.info({ cause: messageOf(error) }, 'cannot shorten the history of the store; trying again later');
    }
    await clock.sleep(everyMs, signal).catch(() => {});
  }
}
