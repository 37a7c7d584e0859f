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
    for (const [revision, events] of byRevision) if (revision <= to) recent.append(events as WatchEvent[], revision, 0);
    if (batch.revision >= to) return;
  }
}

/** The same store, which counts how often it is asked for a watch. */
function countingWatches(store: Store): { readonly counting: Store; readonly asked: () => number } {
  let asked = 0;
  const watch = (...given: Parameters<Store['watch']>): ReturnType<Store['watch']> => {
    asked += 1;
    return store.watch(...given);
  };
  return { counting: Object.create(store, { watch: { value: watch } }), asked: () => asked };
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

  it('what the mirror has not seen yet comes by the mirror: the store is not asked for it', async () => {
    const store = createMemoryStore({ clock: systemClock });
    for (const key of ['/a/1', '/a/2']) await put(store, key);
    const recent = new RecentEvents();
    recent.reset(2n);
    const { signal } = new AbortController();
    const unasked: Store = Object.create(store, {
      watch: {
        value: () => {
          throw new Error('asked');
        },
      },
    });
    const watching = eventsUntil(recent.watch(unasked, '/a/', { fromRevision: 4n, signal }), 4n);
    await feed(store, recent, 3n, 3n);
    await put(store, '/a/3');
    await feed(store, recent, 4n, 4n);
    expect(await watching).toEqual(['4 put /a/3']);
  });

  it('a store that was set back says so to who is ahead of it', async () => {
    const store = createMemoryStore({ clock: systemClock });
    await put(store, '/a/1');
    const recent = new RecentEvents();
    recent.reset(7n);
    const { signal } = new AbortController();
    const watching = eventsUntil(recent.watch(store, '/a/', { fromRevision: 8n, signal }), 9n);
    recent.reset(2n);
    expect(await watching).toEqual(['compacted']);
  });

  it('are forgotten after a while: who then asks for them is sent to the store', async () => {
    const store = createMemoryStore({ clock: systemClock });
    for (const key of ['/a/1', '/a/2', '/a/3']) await put(store, key);
    const { signal } = new AbortController();
    const events: WatchEvent[] = [];
    for await (const batch of store.watch('/', { fromRevision: 2n, signal })) {
      if (batch.kind === 'events') events.push(...batch.events);
      break;
    }
    const recent = new RecentEvents();
    recent.reset(1n);
    for (const [index, event] of events.entries()) recent.append([event], event.modRevision, index * 30_000);
    const { counting, asked } = countingWatches(store);
    expect(await eventsUntil(recent.watch(counting, '/a/', { fromRevision: 4n, signal }), 4n)).toEqual(['4 put /a/3']);
    expect(asked()).toBe(0);
    const all = await eventsUntil(recent.watch(counting, '/a/', { fromRevision: 2n, signal }), 4n);
    expect(all).toEqual(['2 put /a/1', '3 put /a/2', '4 put /a/3']);
    expect(asked()).toBe(1);
  });

  it('are kept longer for who follows along and is behind, but not for ever', async () => {
    const store = createMemoryStore({ clock: systemClock });
    for (let index = 1; index <= 6; index += 1) await put(store, `/a/${index}`);
    const { signal } = new AbortController();
    const recent = new RecentEvents();
    recent.reset(1n);
    const { counting, asked } = countingWatches(store);
    const append = async (revision: bigint, ms: number): Promise<void> => {
      for await (const batch of store.watch('/', { fromRevision: revision, signal })) {
        if (batch.kind === 'events') recent.append(batch.events.slice(0, 1), revision, ms);
        break;
      }
    };
    await append(2n, 0);
    const slow = recent.watch(counting, '/a/', { fromRevision: 2n, signal });
    expect((await slow.next()).value).toMatchObject({ revision: 2n });
    for (const [revision, ms] of [
      [3n, 1_000],
      [4n, 2_000],
      [5n, 3_000],
    ] as const) {
      await append(revision, ms);
    }
    expect((await slow.next()).value).toMatchObject({ revision: 5n });
    expect(asked()).toBe(0);
    await append(6n, 30_000);
    expect(await eventsUntil(recent.watch(counting, '/a/', { fromRevision: 5n, signal }), 7n)).toHaveLength(3);
    expect(asked()).toBe(1);
    await slow.return(undefined);
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
