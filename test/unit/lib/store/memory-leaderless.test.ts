import { expect, test } from 'vitest';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { isGantryError } from '../../../../lib/errors.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { putOf } from '../../../../lib/store/store.ts';

test('without a leader the store answers nobody and ends no lease; each begins anew with the next one', async () => {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const { id } = await store.grantLease(2_000);
  await store.transact({ compare: [], success: [putOf('/a', new Uint8Array(), id)] });
  await clock.advance(1_500);
  store.setLeaderless(true);
  await expect(store.get('/a')).rejects.toSatisfy((error) => isGantryError(error, 'unavailable'));
  await clock.advance(5_000);
  store.setLeaderless(false);
  await clock.advance(1_900);
  expect((await store.get('/a')).kv).toBeDefined();
  await clock.advance(200);
  expect((await store.get('/a')).kv).toBeUndefined();
});
