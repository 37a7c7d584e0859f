import { expect, test } from 'vitest';
import { withContact } from '../../../../control-plane/state/contact.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { putOf } from '../../../../lib/store/store.ts';

const put = (key: string) => ({ compare: [], success: [putOf(key, Buffer.from('x'))] });

test('the newest revision answered is known, and when the newest answered question was sent', async () => {
  const clock = virtualClock();
  const { store, contact } = withContact(createMemoryStore({ clock }), clock);
  expect(contact.askedMs).toBe(Number.NEGATIVE_INFINITY);
  const { revision } = await store.transact(put('a'));
  expect(contact).toEqual({ revision, askedMs: clock.monotonicMs() });
  await clock.advance(50);
  await store.get('a');
  expect(contact).toEqual({ revision, askedMs: clock.monotonicMs() });
  await clock.advance(50);
  await store.get('a', { revision });
  await store.list('a', { revision });
  expect(contact.askedMs).toBe(clock.monotonicMs() - 50);
});

test('an answer that comes late is as old as its question, and takes nothing back', async () => {
  const clock = virtualClock();
  const answers: ((revision: bigint) => void)[] = [];
  const get = () => new Promise<{ revision: bigint }>((resolve) => answers.push((revision) => resolve({ revision })));
  const { store, contact } = withContact({ ...createMemoryStore({ clock }), get }, clock);
  const first = store.get('a');
  await clock.advance(10);
  const second = store.get('a');
  answers[1]!(7n);
  await second;
  const known = { ...contact };
  answers[0]!(5n);
  await first;
  expect(contact).toEqual(known);
});

test('a store that was set back is believed', async () => {
  const clock = virtualClock();
  let revision = 9n;
  const get = async () => ({ revision });
  const { store, contact } = withContact({ ...createMemoryStore({ clock }), get }, clock);
  await store.get('a');
  revision = 4n;
  await store.get('a');
  expect(contact.revision).toBe(4n);
});

test('what a watch has shown is known', async () => {
  const clock = virtualClock();
  const memory = createMemoryStore({ clock });
  const { store, contact } = withContact(memory, clock);
  const ending = new AbortController();
  const { revision } = await memory.transact(put('a'));
  for await (const batch of store.watch('a', { fromRevision: 1n, signal: ending.signal })) {
    expect(batch.kind).toBe('events');
    break;
  }
  expect(contact).toEqual({ revision, askedMs: Number.NEGATIVE_INFINITY });
});
