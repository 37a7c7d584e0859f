/** What the store's answers tell. */
import { expect, test } from 'vitest';
import { withContact } from '../../../../control-plane/state/contact.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { deleteOf, deletePrefixOf, modRevisionIs, type Operation, putOf } from '../../../../lib/store/store.ts';

const [podA, podB, node] = ['/gantry/pods/default/a', '/gantry/pods/default/b', '/gantry/nodes/n1'] as const;
const put = (key: string): Operation => putOf(key, Buffer.from('x'));
const never = Number.NEGATIVE_INFINITY;

function scene() {
  const clock = virtualClock();
  const memory = createMemoryStore({ clock });
  const write = (store: typeof memory, ...success: Operation[]) =>
    store.transact({ compare: [], success }).then(({ revision }) => revision);
  return { clock, memory, write, ...withContact(memory, clock) };
}

test('a write is to be seen by who reads that key, or that kind, or everything', async () => {
  const { store, contact, write } = scene();
  const first = await write(store as never, put(podA), put(node));
  const second = await write(store as never, deleteOf(podB));
  expect(contact.needed({ key: podA })).toBe(first);
  expect(contact.needed({ key: podB })).toBe(second);
  expect(contact.needed({ key: '/gantry/pods/default/c' })).toBe(0n);
  expect(contact.needed({ kindPrefix: '/gantry/pods/' })).toBe(second);
  expect(contact.needed({ kindPrefix: '/gantry/nodes/' })).toBe(first);
  expect(contact.needed({ kindPrefix: '/gantry/secrets/' })).toBe(0n);
  expect(contact.needed()).toBe(second);
});

test('what was read, watched, or deleted by its prefix may be of any key', async () => {
  const { store, contact, memory, write } = scene();
  const written = await write(memory, put(podA));
  await store.get(podB);
  expect(contact.needed({ key: node })).toBe(written);
  const watched = await write(memory, put(podB));
  for await (const _batch of store.watch(podB, { fromRevision: 1n, signal: new AbortController().signal })) break;
  expect(contact.needed({ key: node })).toBe(watched);
  const deleted = await write(store as never, deletePrefixOf('/gantry/pods/'));
  expect(contact.needed({ key: node })).toBe(deleted);
});

test('of a transaction that lost its comparison the other branch counts', async () => {
  const { store, contact, memory, write } = scene();
  const newest = await write(memory, put(podA));
  await store.transact({ compare: [modRevisionIs(podA, 1n)], success: [put(podB)] });
  expect([contact.needed({ key: podB }), contact.needed()]).toEqual([0n, newest]);
  await store.transact({
    compare: [modRevisionIs(podA, 1n)],
    success: [put(podB)],
    failure: [{ kind: 'get', key: podA }],
  });
  expect(contact.needed({ key: podB })).toBe(newest);
});

test('a question is confirmed by a mirror that shows as much as its answer', async () => {
  const { clock, store, contact, write } = scene();
  expect(contact.confirmedMs(100n)).toBe(never);
  const askedMs = clock.monotonicMs();
  const first = await write(store as never, put(podA));
  await clock.advance(50);
  const second = await write(store as never, put(podA));
  expect(contact.confirmedMs(first - 1n)).toBe(never);
  expect(contact.confirmedMs(first)).toBe(askedMs);
  expect(contact.confirmedMs(second)).toBe(askedMs + 50);
  await clock.advance(50);
  await store.get(podA, { revision: first });
  await store.list('', { revision: first });
  expect(contact.confirmedMs(second)).toBe(askedMs + 50);
});

test('an answer that comes late is as old as its question, and takes nothing back', async () => {
  const clock = virtualClock();
  const answers: ((revision: bigint) => void)[] = [];
  const get = () => new Promise<{ revision: bigint }>((resolve) => answers.push((revision) => resolve({ revision })));
  const { store, contact } = withContact({ ...createMemoryStore({ clock }), get }, clock);
  const askedMs = clock.monotonicMs();
  const first = store.get('a');
  await clock.advance(10);
  const second = store.get('a');
  answers[1]!(7n);
  await second;
  answers[0]!(5n);
  await first;
  expect([contact.needed(), contact.confirmedMs(6n), contact.confirmedMs(7n)]).toEqual([7n, askedMs, askedMs + 10]);
});

test('a store that was set back is believed', async () => {
  const clock = virtualClock();
  let revision = 9n;
  const get = async () => ({ revision });
  const { store, contact } = withContact({ ...createMemoryStore({ clock }), get }, clock);
  await store.get('a');
  revision = 4n;
  await store.get('a');
  expect([contact.needed(), contact.needed({ key: 'a' })]).toEqual([4n, 4n]);
});

test('what a mirror shows is forgotten', async () => {
  const { store, contact, write } = scene();
  let newest = 0n;
  for (let index = 0; index < 1_200; index += 1)
    newest = await write(store as never, put(`/gantry/pods/default/${index}`));
  contact.confirmedMs(newest - 5n);
  expect(contact.needed({ key: '/gantry/pods/default/7' })).toBe(0n);
  expect(contact.needed({ key: '/gantry/pods/default/1199' })).toBe(newest);
});
