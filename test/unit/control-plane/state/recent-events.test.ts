/** A watch through the mirror says what the store's own says, wherever it begins and whatever happens to the mirror. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentEvents } from '../../../../control-plane/state/recent-events.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { deleteOf, putOf, type Store, type WatchBatch, type WatchEvent } from '../../../../lib/store/store.ts';

const put = (store: Store, key: string, more: readonly string[] = []) =>
  store.transact({ compare: [], success: [key, ...more].map((each) => putOf(each, Buffer.from(each))) });

/** Everything up to a revision. */
async function eventsUntil(batches: AsyncIterable<WatchBatch>, revision: bigint): Promise<string[]> {
  const seen: string[] = [];
  for await (const batch of batches) {
    if (batch.kind === 'compacted') return [...seen, 'compacted'];
    seen.push(...batch.events.map(({ type, key, modRevision }) => `${modRevision} ${type} ${key}`));
    if (batch.revision >= revision) break;
  }
  return seen;
}

/** Feeds a mirror's `recent` by hand, one revision at a time. */
async function feed(store: Store, recent: RecentEvents, from: bigint, to: bigint): Promise<void> {
  const signal = new AbortController().signal;
  for await (const batch of store.watch('/', { fromRevision: from, signal, previous: false })) {
    if (batch.kind !== 'events') throw new Error('compacted');
    const byRevision = Map.groupBy(batch.events, ({ modRevision }) => modRevision);
    for (const [revision, events] of byRevision) if (revision <= to) recent.append(events as WatchEvent[], revision);
    if (batch.revision >= to) return;
  }
}

describe('the newest events of the mirror', () => {
  it('are those of the store, from any revision, in order, each once', async () => {
    const changes = fc.array(fc.constantFrom('/a/1', '/a/2', '/b/1', '/a/1 /a/2 /b/1', '-/a/1'), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(changes, fc.nat(12), fc.nat(12), fc.nat(12), async (writes, reset, reached, from) => {
        const store = createMemoryStore({ clock: systemClock });
        await put(store, '/a/1');
        for (const write of writes) {
          if (write.startsWith('-')) await store.transact({ compare: [], success: [deleteOf(write.slice(1))] });
          else await put(store, write.split(' ')[0]!, write.split(' ').slice(1));
        }
        await put(store, '/a/last');
        const { revision: last } = await store.status();
        const within = (n: number): bigint => 1n + (BigInt(n) % last);
        const recent = new RecentEvents();
        const since = within(reset);
        recent.reset(since);
        const here = since + (BigInt(reached) % (last - since + 1n));
        if (here > since) await feed(store, recent, since + 1n, here);
        const { signal } = new AbortController();
        const options = { fromRevision: within(from), signal };
        const expected = await eventsUntil(store.watch('/a/', options), last);
        const watching = eventsUntil(recent.watch(store, '/a/', options), last);
        if (here < last) await feed(store, recent, here + 1n, last);
        expect(await watching).toEqual(expected);
        await store.close();
      }),
      { numRuns: 60 },
    );
  });

  it('a compacted revision is said to be, and a mirror that listed again sends its readers to the store', async () => {
    const store = createMemoryStore({ clock: systemClock });
    for (const key of ['/a/1', '/a/2', '/a/3']) await put(store, key);
    const recent = new RecentEvents();
    recent.reset(1n);
    const { signal } = new AbortController();
    const watching = eventsUntil(recent.watch(store, '/a/', { fromRevision: 2n, signal }), 4n);
    recent.reset(4n);
    expect(await watching).toEqual(['2 put /a/1', '3 put /a/2', '4 put /a/3']);
    await store.compact(4n);
    expect(await eventsUntil(recent.watch(store, '/a/', { fromRevision: 2n, signal }), 4n)).toEqual(['compacted']);
  });

  it('ends with its signal', async () => {
    const recent = new RecentEvents();
    recent.reset(5n);
    const stop = new AbortController();
    const store = createMemoryStore({ clock: systemClock });
    const watching = eventsUntil(recent.watch(store, '/', { fromRevision: 6n, signal: stop.signal }), 9n);
    stop.abort(new Error('enough'));
    expect(await watching).toEqual([]);
  });
});
