/** What several modules of the library and of the mirror share. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { firstWhere } from '../../../lib/binary-search.ts';
import { NextChange } from '../../../lib/next-change.ts';

it('firstWhere finds the place at which a search one by one would end', () => {
  const sorted = fc.array(fc.integer({ min: 0, max: 20 })).map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(sorted, fc.integer({ min: -1, max: 21 }), (list, from) => {
      const found = list.findIndex((value) => value >= from);
      expect(firstWhere(list.length, (position) => list[position]! >= from)).toBe(found < 0 ? list.length : found);
    }),
  );
});

it('whoever waits for a change is told of the next one, or ends with its signal; nobody twice', async () => {
  const change = new NextChange();
  const ending = new AbortController();
  const told: string[] = [];
  const wait = (name: string, signal: AbortSignal) => change.wait(signal).then(() => told.push(name));
  const all = [wait('a', new AbortController().signal), wait('b', ending.signal)];
  ending.abort();
  await all[1];
  expect(told).toEqual(['b']);
  change.tell();
  change.tell();
  await Promise.all(all);
  expect(told).toEqual(['b', 'a']);
});
