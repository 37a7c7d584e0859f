import { expect, it } from 'vitest';
import { compactHistory } from '../../../../control-plane/leader/compaction.ts';
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
