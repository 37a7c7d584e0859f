/** Which replica may go by its own memory, and that it may not any more when another one serves. */
import { afterEach, describe, expect, test } from 'vitest';
import { replicaKey } from '../../../control-plane/replicas.ts';
import { enterAsReplica, soleReplica, soleReplicaKey, trustedMs } from '../../../control-plane/sole-replica.ts';
import { followStore } from '../../../control-plane/state/follow.ts';
import { plainCodec } from '../../../control-plane/state/object-codec.ts';
import { virtualClock } from '../../../lib/clock-virtual.ts';
import { silentLog } from '../../../lib/log.ts';
import { createMemoryStore } from '../../../lib/store/memory.ts';
import { putOf, type Store } from '../../../lib/store/store.ts';

let ending = new AbortController();
afterEach(() => {
  ending.abort();
  ending = new AbortController();
});

function scene() {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const enter = (name: string): { readonly done: boolean } => {
    const entry = { done: false };
    const parts = { store, clock, log: silentLog, signal: ending.signal };
    enterAsReplica(name, parts).then(
      () => (entry.done = true),
      () => {}, // it has died
    );
    return entry;
  };
  const watch = async (name: string): Promise<() => boolean> => {
    const state = followStore({ store, codec: plainCodec, clock, log: silentLog, signal: ending.signal });
    await clock.advance(1);
    await state.whenSynced();
    return soleReplica(name, state);
  };
  return { clock, store, enter, watch };
}

const announce = (store: Store, name: string) =>
  store.transact({ compare: [], success: [putOf(replicaKey(name), Buffer.from('10.0.0.1:6443'))] });
const valueIn = async (store: Store): Promise<string> =>
  Buffer.from((await store.get(soleReplicaKey)).kv!.value).toString();

describe('the first replica', () => {
  test('is alone at once, and still is when it starts again', async () => {
    const { clock, enter, watch } = scene();
    for (const start of [enter('cp-1'), enter('cp-1')]) {
      await clock.advance(1);
      expect(start.done).toBe(true);
    }
    expect((await watch('cp-1'))()).toBe(true);
    expect((await watch('cp-2'))()).toBe(false);
  });

  test('is not when others of a former version have said where they are', async () => {
    const { clock, store, enter, watch } = scene();
    await announce(store, 'cp-1');
    await announce(store, 'cp-2');
    const start = enter('cp-1');
    await clock.advance(1);
    expect([start.done, await valueIn(store)]).toEqual([true, 'several']);
    expect((await watch('cp-1'))()).toBe(false);
  });

  test('is not alone beside a replica of a former version that comes later', async () => {
    const { clock, store, enter, watch } = scene();
    enter('cp-1');
    await clock.advance(1);
    const isSole = await watch('cp-1');
    await announce(store, 'cp-1');
    await clock.advance(1);
    expect(isSole()).toBe(true);
    await announce(store, 'cp-2');
    await clock.advance(1);
    expect(isSole()).toBe(false);
  });
});

describe('another replica', () => {
  test('serves only when the first must have asked again, by a clock half as fast; those after it at once', async () => {
    const { clock, store, enter, watch } = scene();
    enter('cp-1');
    await clock.advance(1);
    const isSole = await watch('cp-1');
    const second = enter('cp-2');
    await clock.advance(1);
    expect(isSole()).toBe(false);
    await clock.advance(2 * trustedMs);
    expect(second.done).toBe(false);
    await clock.advance(trustedMs);
    expect(second.done).toBe(true);
    const third = enter('cp-3');
    const first = enter('cp-1');
    await clock.advance(1);
    expect([third.done, first.done, isSole(), await valueIn(store)]).toEqual([true, true, false, 'several']);
  });

  test('waits the whole time again when the one that began to wait has died', async () => {
    const { clock, store, enter } = scene();
    enter('cp-1');
    await clock.advance(1);
    enter('cp-2');
    await clock.advance(trustedMs);
    ending.abort();
    ending = new AbortController();
    const again = enter('cp-2');
    await clock.advance(2 * trustedMs);
    expect([again.done, await valueIn(store)]).toEqual([false, 'changing']);
    await clock.advance(trustedMs);
    expect([again.done, await valueIn(store)]).toEqual([true, 'several']);
  });
});
