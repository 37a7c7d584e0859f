/** What only the memory twin can show; everything it shares with etcd is in test/contract/store.test.ts. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../../lib/clock.ts';
import { isGantryError } from '../../../../lib/errors.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { AmbiguousWriteError, absent, putOf, type WatchBatch } from '../../../../lib/store/store.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('memory store', () => {
  it('keeps its own copy of what is put', async () => {
    const store = createMemoryStore({ clock: systemClock });
    const value = bytes('one');
    await store.transact({ compare: [], success: [putOf('/a', value)] });
    value[0] = 0;
    expect((await store.get('/a')).kv?.value).toEqual(bytes('one'));
  });

  it('refuses calls while away and lets watches go on afterwards', async () => {
    const store = createMemoryStore({ clock: systemClock });
    const watch = store.watch('/', { fromRevision: 1n, signal: new AbortController().signal });
    const iterator = watch[Symbol.asyncIterator]();
    const first = iterator.next();
    store.setAvailable(false);
    await expect(store.get('/a')).rejects.toSatisfy((error) => isGantryError(error, 'unavailable'));
    store.setAvailable(true);
    await store.transact({ compare: [], success: [putOf('/a', bytes('1'))] });
    const batch = (await first).value as WatchBatch;
    expect(batch).toMatchObject({ kind: 'events', revision: 2n, events: [{ type: 'put', key: '/a' }] });
  });

  it('loses the answer of a write that landed', async () => {
    const store = createMemoryStore({ clock: systemClock });
    store.loseAnswers(1);
    const create = { compare: [absent('/a')], success: [putOf('/a', bytes('1'))] };
    await expect(store.transact(create)).rejects.toBeInstanceOf(AmbiguousWriteError);
    await expect(store.transact(create)).resolves.toMatchObject({ succeeded: false, revision: 2n });
  });

  it('ends watches with an error when it is closed', async () => {
    const store = createMemoryStore({ clock: systemClock });
    const iterator = store
      .watch('/', { fromRevision: 1n, signal: new AbortController().signal })
      [Symbol.asyncIterator]();
    const pending = iterator.next();
    await store.close();
    await expect(pending).rejects.toSatisfy((error) => isGantryError(error, 'cancelled'));
  });
});
