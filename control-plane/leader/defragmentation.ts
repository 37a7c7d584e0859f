/**
 * Gives back what the store's database files hold and do not use: etcd keeps the space of compacted history for itself.
 *
 * A member that defragments answers nobody meanwhile. So it is done only when more than half of a file is air, one
 * member after another, followers before the leader, and only while every member answers. A member that is alone takes
 * the whole store with it: there only when it is quickly done, or when the file is about to reach etcd's quota.
 */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Database, Store } from '../../lib/store/store.ts';

export interface DefragmentationParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** The term's end. */
  readonly signal: AbortSignal;
}

const mebibyte = 2 ** 20;
const smallestGainBytes = 64 * mebibyte;
/** Copied within two seconds on a slow machine; the leader's lease is five. */
const mostUsedAloneBytes = 160 * mebibyte;
/** etcd's own default quota is 2 GiB; beyond it, it refuses writes. */
const pressingBytes = 1536 * mebibyte;
/** The first look is later than the longest that a former leader's last defragmentation may take. */
const everyMs = 60_000;
/** Between two members: the first must have caught up before the next one is away. */
const restMs = 10_000;

/** Resolves when the signal is aborted. */
export async function defragmentRegularly(parts: DefragmentationParts): Promise<void> {
  const { store, clock, log, signal } = parts;
  if (!store.databases) return;
  for (;;) {
    await clock.sleep(everyMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      await defragmentWhereWorth(parts);
    } catch (error) {
      log.info({ cause: messageOf(error) }, 'cannot defragment the store; trying again later');
    }
  }
}

/** Each member at most once. */
export async function defragmentWhereWorth({ store, clock, log, signal }: DefragmentationParts): Promise<void> {
  const done = new Set<string>();
  for (;;) {
    // Asked anew each time: the members and their leader may have changed.
    const databases = (await store.databases?.()) ?? [];
    const next = toDefragment(databases).find(({ member }) => !done.has(member));
    if (!next || signal.aborted) return;
    if (done.size > 0) {
      await clock.sleep(restMs, signal).catch(() => {});
      if (signal.aborted) return;
    }
    done.add(next.member);
    const { member, isLeader, sizeBytes, usedBytes } = next;
    log.info({ member, isLeader, sizeBytes, usedBytes }, 'defragmenting a member of the store');
    const startMs = clock.monotonicMs();
    await next.defragment();
    const tookMs = Math.round(clock.monotonicMs() - startMs);
    log.info({ member, tookMs }, 'defragmented a member of the store');
  }
}

/** Pure. Those for which it is worth it, in the order in which it is done. */
export function toDefragment(databases: readonly Database[]): readonly Database[] {
  const isAlone = databases.length === 1;
  const worth = databases.filter(({ sizeBytes, usedBytes }) => {
    const gainBytes = sizeBytes - usedBytes;
    if (gainBytes < smallestGainBytes) return false;
    if (sizeBytes >= pressingBytes && gainBytes >= sizeBytes / 4) return true;
    return gainBytes >= usedBytes && (!isAlone || usedBytes <= mostUsedAloneBytes);
  });
  return worth.sort((a, b) => Number(a.isLeader) - Number(b.isLeader));
}
