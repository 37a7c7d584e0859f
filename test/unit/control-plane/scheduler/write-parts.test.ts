/** Many small writes in few transactions, and what is worth a write at all. */
import { describe, expect, it } from 'vitest';
import { numbersRestMs, Refusals } from '../../../../control-plane/scheduler/refusals.ts';
import { type Part, writeParts } from '../../../../control-plane/scheduler/write-parts.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import {
  absent,
  createRevisionIs,
  deleteOf,
  putOf,
  type Store,
  type Transaction,
} from '../../../../lib/store/store.ts';
import type { Pod } from '../../../../proto/gen/types.ts';
import { pod } from './objects.ts';

const leaderKey = '/leader';

async function counted() {
  const store = createMemoryStore({ clock: systemClock, maxOperations: 1000 });
  const { revision } = await store.transact({ compare: [], success: [putOf(leaderKey, Buffer.from('me'))] });
  let transactions = 0;
  let atOnce = 0;
  let mostAtOnce = 0;
  const counting: Store = Object.create(store, {
    transact: {
      value: async (transaction: Transaction) => {
        transactions += 1;
        atOnce += 1;
        mostAtOnce = Math.max(mostAtOnce, atOnce);
        await new Promise((resolve) => setImmediate(resolve));
        atOnce -= 1;
        return store.transact(transaction);
      },
    },
  });
  const options = { store: counting, fence: createRevisionIs(leaderKey, revision), clock: systemClock, mostParts: 50 };
  return { store, options, transactions: () => transactions, mostAtOnce: () => mostAtOnce };
}

const partsOf = (count: number, bytes = 10): Part<string>[] =>
  Array.from({ length: count }, (_, i) => ({
    of: `/p/${i}`,
    compare: [absent(`/p/${i}`)],
    success: [putOf(`/p/${i}`, Buffer.alloc(bytes))],
  }));

describe('many parts', () => {
  it('share transactions, several of which are under way at once', async () => {
    const { store, options, transactions, mostAtOnce } = await counted();
    const { done, failed, revision } = await writeParts(partsOf(1000), options);
    expect(done).toHaveLength(1000);
    expect(failed).toEqual([]);
    expect(transactions()).toBe(20);
    expect(mostAtOnce()).toBe(4);
    expect((await store.status()).revision).toBe(revision);
  });

  it('of which one has lost its race cost few transactions more, and only that one fails', async () => {
    const { store, options, transactions } = await counted();
    await store.transact({ compare: [], success: [putOf('/p/77', Buffer.from('other'))] });
    const { done, failed } = await writeParts(partsOf(100), options);
    expect(failed).toEqual(['/p/77']);
    expect(done).toHaveLength(99);
    expect(transactions()).toBeLessThanOrEqual(2 + 2 * Math.ceil(Math.log2(50)));
  });

  it('are split by size, too', async () => {
    const { options, transactions } = await counted();
    const { done } = await writeParts(partsOf(10, 300 * 1024), options);
    expect(done).toHaveLength(10);
    expect(transactions()).toBe(4);
  });

  it('of a leader that was deposed are not tried one by one', async () => {
    const { store, options, transactions } = await counted();
    await store.transact({ compare: [], success: [deleteOf(leaderKey)] });
    const { done, failed } = await writeParts(partsOf(1000), options);
    expect(done).toEqual([]);
    expect(failed).toHaveLength(1000);
    expect(transactions()).toBeLessThanOrEqual(4);
  });
});

describe('refusals', () => {
  const told = (message: string): Pod => ({
    ...pod('a'),
    status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', message }] },
  });

  it('are told when they are new, and not again', () => {
    const refusals = new Refusals();
    expect(refusals.due([{ pod: pod('a'), message: 'no room' }], 0).now).toHaveLength(1);
    expect(refusals.due([{ pod: told('no room'), message: 'no room' }], 0)).toEqual({ now: [], later: false });
    expect(refusals.due([{ pod: told('no room'), message: 'cordoned' }], 0).now).toHaveLength(1);
  });

  it('of which only numbers changed wait for a while, and are told then', () => {
    const refusals = new Refusals();
    refusals.tell(pod('a'), 1000);
    const refusal = { pod: told('0/3 nodes fit: 3 insufficient cpu'), message: '0/4 nodes fit: 4 insufficient cpu' };
    expect(refusals.due([refusal], 2000)).toEqual({ now: [], later: true });
    expect(refusals.due([refusal], 1000 + numbersRestMs)).toEqual({ now: [refusal], later: false });
    const other = { ...refusal, message: '0/4 nodes fit: 4 insufficient memory' };
    expect(refusals.due([other], 2000).now).toEqual([other]);
  });
});
