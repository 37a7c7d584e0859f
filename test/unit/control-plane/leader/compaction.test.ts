import { expect, it } from 'vitest';
import { compactHistory, keptMs } from '../../../../control-plane/leader/compaction.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { putOf } from '../../../../lib/store/store.ts';

const minuteMs = 60_000;

it('forgets what is older than a quarter of an hour, and no more, also after the store was away', async () => {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const stop = new AbortController();
  const write = async (): Promise<bigint> =>
    (await store.transact({ compare: [], success: [putOf('/gantry/x', Buffer.from('x'))] })).revision;
  const isKept = (revision: bigint): Promise<boolean> =>
    store.get('/gantry/x', { revision }).then(
      () => true,
      () => false,
    );
  const first = await write();
  const compacting = compactHistory({ store, clock, log: silentLog, signal: stop.signal });
  await clock.advance(minuteMs);
  const second = await write();
  await clock.advance(13 * minuteMs);
  const third = await write();
  expect([await isKept(first), await isKept(second), await isKept(third)]).toEqual([true, true, true]);
  store.setAvailable(false);
  await clock.advance(7 * minuteMs);
  store.setAvailable(true);
  await clock.advance(10 * minuteMs);
  expect([await isKept(first), await isKept(second), await isKept(third)]).toEqual([false, true, true]);
  await clock.advance(20 * minuteMs);
  const last = await write();
  expect([await isKept(second), await isKept(third), await isKept(last)]).toEqual([false, true, true]);
  stop.abort(new Error('test over'));
  await compacting;
});

it('keeps less of a history that fills the database', () => {
  const minutes = [100, 300, 700, 1500].map((mebibytes) => keptMs(mebibytes * 2 ** 20) / minuteMs);
  expect(minutes).toEqual([15, 5, 2, 1]);
});

it('shortens by what the largest of the members uses', async () => {
  const clock = virtualClock();
  const memory = createMemoryStore({ clock });
  const usedBytes = 600 * 2 ** 20;
  const databases = async () => [
    { member: 'a', isLeader: true, sizeBytes: usedBytes, usedBytes, defragment: async () => {} },
  ];
  const store = Object.assign(memory, { databases });
  const stop = new AbortController();
  const compacting = compactHistory({ store, clock, log: silentLog, signal: stop.signal });
  await clock.advance(1000);
  const { revision } = await store.transact({ compare: [], success: [putOf('/gantry/x', Buffer.from('x'))] });
  await store.transact({ compare: [], success: [putOf('/gantry/x', Buffer.from('y'))] });
  await clock.advance(2 * minuteMs);
  expect((await store.get('/gantry/x', { revision })).kv).toBeDefined();
  await clock.advance(minuteMs);
  await expect(store.get('/gantry/x', { revision })).rejects.toThrow(/compacted/);
  stop.abort(new Error('test over'));
  await compacting;
});
