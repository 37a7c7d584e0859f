import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { difference, type MirrorOptions, mirror } from '../../../../lib/store/mirror.ts';
import { deleteOf, type KeyValue, putOf, type Store, type WatchEvent } from '../../../../lib/store/store.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function setup(through: (store: Store) => Store = (store) => store) {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const stopping = new AbortController();
  const state = new Map<string, bigint>();
  const log: string[] = [];
  const note = (event: WatchEvent): void => {
    log.push(`${event.type} ${event.key}`);
    if (event.type === 'put') state.set(event.key, event.kv.modRevision);
    else state.delete(event.key);
  };
  const start = (overrides: Partial<MirrorOptions> = {}): Promise<void> =>
    mirror(through(store), '/', {
      clock,
      signal: stopping.signal,
      onSnapshot: (items) => {
        for (const kv of items) state.set(kv.key, kv.modRevision);
      },
      onEvents: (events) => events.forEach(note),
      onMissed: (count) => log.push(`missed ${count}`),
      ...overrides,
    });
  return { clock, store, stopping, state, log, start };
}

const write = (store: Store, ...success: ReturnType<typeof putOf>[]) => store.transact({ compare: [], success });
const actual = async (store: Store) => new Map((await store.list('/')).items.map((kv) => [kv.key, kv.modRevision]));

describe('mirror', () => {
  it('follows the store, through its absence, and stays silent when the check finds nothing', async () => {
    const { clock, store, stopping, state, log, start } = setup();
    await write(store, putOf('/a', bytes('1')));
    const running = start();
    await clock.settle();
    for (let i = 0; i < 50; i += 1) {
      await write(store, putOf(`/${i % 7}`, bytes(`${i}`)), deleteOf(`/${(i + 3) % 7}`));
      store.setAvailable(i % 5 !== 0);
      await clock.advance(60_000);
      store.setAvailable(true);
    }
    await clock.settle();
    expect(state).toEqual(await actual(store));
    expect(log.filter((line) => line.startsWith('missed'))).toEqual([]);
    stopping.abort();
    await running;
  });

  it('waits for a store that is away at the start', async () => {
    const { clock, store, stopping, state, start } = setup();
    store.setAvailable(false);
    const running = start();
    await clock.advance(60_000);
    store.setAvailable(true);
    await write(store, putOf('/a', bytes('1')));
    await clock.advance(5000);
    expect(state.size).toBe(1);
    stopping.abort();
    await running;
  });

  it('finds by its check what the watch has missed, reports it, and delivers it', async () => {
    // A watch that loses every event of /lost, as etcd 3.4 may after a compaction.
    const lossy = (store: Store): Store =>
      Object.assign(Object.create(store), {
        list: store.list.bind(store),
        async *watch(...args: Parameters<Store['watch']>) {
          for await (const batch of store.watch(...args)) {
            if (batch.kind !== 'events') yield batch;
            else yield { ...batch, events: batch.events.filter((event) => event.key !== '/lost') };
          }
        },
      });
    const { clock, store, stopping, state, log, start } = setup(lossy);
    await write(store, putOf('/lost', bytes('1')), putOf('/kept', bytes('1')));
    const running = start();
    await clock.settle();
    await write(store, deleteOf('/lost'), putOf('/kept', bytes('2')));
    await clock.advance(299_000);
    expect(log).toEqual(['put /kept']);
    await clock.advance(15_000);
    expect(log).toEqual(['put /kept', 'missed 1', 'delete /lost']);
    expect(state).toEqual(await actual(store));
    stopping.abort();
    await running;
  });

  it('ends with what its consumer throws', async () => {
    const { clock, store, start } = setup();
    const running = start({
      onEvents: () => {
        throw new Error('the consumer is broken');
      },
    });
    const outcome = expect(running).rejects.toThrow('the consumer is broken');
    await clock.settle();
    await write(store, putOf('/a', bytes('1')));
    await outcome;
  });
});

describe('difference', () => {
  const kv = (key: string, createRevision: bigint, modRevision: bigint): KeyValue => ({
    key,
    value: bytes(`${modRevision}`),
    createRevision,
    modRevision,
    version: 1n,
    lease: '',
  });
  const map = (...items: KeyValue[]) => new Map(items.map((item) => [item.key, item]));

  it('leads from one state to the other', () => {
    const known = map(kv('/changed', 1n, 2n), kv('/gone', 1n, 3n), kv('/reborn', 1n, 4n), kv('/same', 1n, 5n));
    const listed = map(kv('/changed', 1n, 12n), kv('/new', 13n, 13n), kv('/reborn', 14n, 14n), kv('/same', 1n, 5n));
    const events = difference(known, listed, 20n);
    expect(events.map((event) => [event.type, event.key, event.modRevision, event.previous?.modRevision])).toEqual([
      ['put', '/changed', 12n, 2n],
      ['delete', '/gone', 20n, 3n],
      ['put', '/new', 13n, undefined],
      ['delete', '/reborn', 20n, 4n],
      ['put', '/reborn', 14n, undefined],
    ]);
    expect(difference(listed, listed, 20n)).toEqual([]);
  });
});
