import { describe, expect, test } from 'vitest';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { GantryError } from '../../../../lib/errors.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { withGroupedWrites } from '../../../../lib/store/grouped-writes.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import {
  AmbiguousWriteError,
  absent,
  deletePrefixOf,
  getOf,
  modRevisionIs,
  putOf,
  type Store,
  type Transaction,
  type TransactionResult,
} from '../../../../lib/store/store.ts';
import { storeWith } from '../../../../lib/store/store-with.ts';

const value = (text: string): Uint8Array => new TextEncoder().encode(text);
const creation = (key: string, text = key): Transaction => ({
  compare: [absent(key)],
  success: [putOf(key, value(text))],
});

/** Transactions wait at the door of a real one until they are let in, in the order they came. */
function doored() {
  const clock = virtualClock();
  const memory = createMemoryStore({ clock });
  const asked: Transaction[] = [];
  const waiting: { letIn(): void; refuse(error: Error): void }[] = [];
  const store = storeWith(memory, {
    transact: (transaction) =>
      new Promise<TransactionResult>((resolve, reject) => {
        asked.push(transaction);
        waiting.push({ letIn: () => resolve(memory.transact(transaction)), refuse: reject });
      }),
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  };
  return {
    ...{ clock, memory, asked, settle },
    store: withGroupedWrites(store, clock),
    async letIn() {
      waiting.shift()!.letIn();
      await settle();
    },
    async refuse(error: Error) {
      waiting.shift()!.refuse(error);
      await settle();
    },
  };
}

describe('grouped writes', () => {
  test('one alone goes at once; those that come meanwhile go together, with one revision', async () => {
    const { store, asked, letIn, memory } = doored();
    const first = store.transact(creation('/a'));
    const others = [store.transact(creation('/b')), store.transact(creation('/c'))];
    expect(asked).toHaveLength(1);
    await letIn();
    expect(await first).toMatchObject({ succeeded: true, responses: [{ kind: 'put' }] });
    expect(asked).toHaveLength(2);
    expect(asked[1]!.success).toHaveLength(2);
    await letIn();
    const [b, c] = await Promise.all(others);
    expect(b).toMatchObject({ succeeded: true, responses: [{ kind: 'put' }] });
    expect(c!.revision).toBe(b!.revision);
    expect((await memory.get('/c')).kv?.modRevision).toBe(c!.revision);
  });

  test('one whose comparison fails does not spoil it for the others', async () => {
    const { store, asked, letIn, memory } = doored();
    await memory.transact(creation('/there'));
    const first = store.transact(creation('/a'));
    const failing = store.transact({ ...creation('/there'), failure: [getOf('/there')] });
    const fine = store.transact(creation('/b'));
    await letIn();
    await first;
    await letIn();
    // Each by itself now.
    expect(asked).toHaveLength(4);
    await letIn();
    await letIn();
    expect(await failing).toMatchObject({ succeeded: false, responses: [{ kind: 'get', kv: { key: '/there' } }] });
    expect(await fine).toMatchObject({ succeeded: true });
  });

  test('what touches a key that one of the group writes goes by itself', async () => {
    const { store, asked, letIn } = doored();
    void store.transact(creation('/a'));
    void store.transact(creation('/b'));
    void store.transact(creation('/b', 'again'));
    void store.transact({ compare: [modRevisionIs('/b', 1n)], success: [putOf('/c', value('c'))] });
    void store.transact(creation('/d'));
    expect(asked.map(({ success }) => success.length)).toEqual([1, 1, 1]);
    await letIn();
    await letIn();
    await letIn();
    expect(asked[3]!.success.map((operation) => 'key' in operation && operation.key)).toEqual(['/b', '/d']);
  });

  test('reads, prefixes and large ones are not held up', () => {
    const { store, asked } = doored();
    void store.transact(creation('/a'));
    void store.transact({ compare: [], success: [getOf('/a')] });
    void store.transact({ compare: [], success: [deletePrefixOf('/x/')] });
    void store.transact({ compare: [], success: [putOf('/large', new Uint8Array(600_000))] });
    void store.transact({ compare: [], success: Array.from({ length: 65 }, (_, i) => putOf(`/m${i}`, value('m'))) });
    expect(asked).toHaveLength(5);
  });

  test('a full group does not wait, and none waits long for the group before', async () => {
    const { store, asked, clock } = doored();
    for (let index = 0; index < 66; index += 1) void store.transact(creation(`/k${index}`));
    expect(asked.map(({ success }) => success.length)).toEqual([1, 64]);
    await clock.advance(19);
    expect(asked).toHaveLength(2);
    await clock.advance(1);
    expect(asked).toHaveLength(3);
  });

  test('no answer for a group is no answer for each; a refusal of the group is not one for each', async () => {
    const { store, asked, refuse, letIn } = doored();
    const first = store.transact(creation('/a'));
    const lost = [store.transact(creation('/b')), store.transact(creation('/c'))];
    const outcomes = Promise.allSettled(lost);
    await letIn();
    await first;
    const next = [store.transact(creation('/d')), store.transact(creation('/e'))];
    await refuse(new AmbiguousWriteError('no answer'));
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await refuse(new GantryError('invalidArgument', 'too large'));
    expect(asked.slice(-2).map(({ success }) => success.length)).toEqual([1, 1]);
    await letIn();
    await letIn();
    expect((await Promise.all(next)).map(({ succeeded }) => succeeded)).toEqual([true, true]);
  });

  test('counters that many raise at once lose nothing', async () => {
    const clock = virtualClock();
    const memory = createMemoryStore({ clock });
    const random = seededRandom(7);
    let calls = 0;
    let attempts = 0;
    const slow: Store = storeWith(memory, {
      async transact(transaction) {
        calls += 1;
        for (let turn = Math.floor(random.next() * 20); turn > 0; turn -= 1) await Promise.resolve();
        return memory.transact(transaction);
      },
    });
    const store = withGroupedWrites(slow, clock);
    const raise = async (key: string): Promise<void> => {
      for (;;) {
        const { kv } = await store.get(key);
        const count = kv ? Number(new TextDecoder().decode(kv.value)) : 0;
        attempts += 1;
        const compare = [modRevisionIs(key, kv?.modRevision ?? 0n)];
        const { succeeded } = await store.transact({ compare, success: [putOf(key, value(String(count + 1)))] });
        if (succeeded) return;
      }
    };
    await Promise.all(Array.from({ length: 400 }, (_, index) => raise(`/counter-${index % 200}`)));
    for (let index = 0; index < 200; index += 1) {
      const { kv } = await store.get(`/counter-${index}`);
      expect(new TextDecoder().decode(kv!.value)).toBe('2');
    }
    expect(calls).toBeLessThan(attempts);
  });
});
