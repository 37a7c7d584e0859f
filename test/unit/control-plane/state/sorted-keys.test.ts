import { expect, test } from 'vitest';
import { SortedKeys } from '../../../../control-plane/state/sorted-keys.ts';
import { seededRandom } from '../../../../lib/random.ts';

const keyOf = (number: number): string => `/gantry/pods/default/pod-${number}`;

test('keys come in their order from anywhere on, whatever was added and deleted before', () => {
  const random = seededRandom(7);
  const keys = new SortedKeys();
  const expected = new Set<string>();
  for (let step = 0; step < 20_000; step += 1) {
    const key = keyOf(Math.floor(random.next() * 6_000));
    if (random.next() < (step < 12_000 ? 0.8 : 0.2)) {
      keys.add(key);
      expected.add(key);
    } else {
      keys.delete(key);
      expected.delete(key);
    }
    if (step % 2_500 !== 0) continue;
    const sorted = [...expected].sort();
    expect([...keys.from('')]).toEqual(sorted);
    const from = keyOf(Math.floor(random.next() * 6_000));
    expect([...keys.from(from)]).toEqual(sorted.filter((one) => one >= from));
  }
});

test('keys that come in their order, and go again', () => {
  const keys = new SortedKeys();
  const sorted = Array.from({ length: 5_000 }, (_, number) => keyOf(number)).sort();
  for (const key of sorted) keys.add(key);
  for (const key of sorted) keys.add(key);
  expect([...keys.from('')]).toEqual(sorted);
  for (const key of sorted) keys.delete(key);
  keys.delete('nobody');
  expect([...keys.from('')]).toEqual([]);
});
