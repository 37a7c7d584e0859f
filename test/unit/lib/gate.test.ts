import { expect, test } from 'vitest';
import { Gate } from '../../../lib/gate.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a gate lets so many through at once, in the order they came, whatever becomes of them', async () => {
  const gate = new Gate(2);
  const begun: number[] = [];
  const ends: PromiseWithResolvers<number>[] = [];
  const results = Array.from({ length: 5 }, (_, index) => {
    ends.push(Promise.withResolvers());
    return gate.through(() => {
      begun.push(index);
      return ends[index]!.promise;
    });
  });
  await turn();
  expect(begun).toEqual([0, 1]);
  ends[1]!.reject(new Error('failed'));
  await expect(results[1]).rejects.toThrow('failed');
  await turn();
  expect(begun).toEqual([0, 1, 2]);
  for (const [index, { resolve }] of ends.entries()) resolve(index);
  expect(await Promise.all([results[0], results[2], results[3], results[4]])).toEqual([0, 2, 3, 4]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(await gate.through(async () => 'again')).toBe('again');
});
