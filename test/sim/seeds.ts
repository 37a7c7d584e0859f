/** What both files of seeds do; two files, so that two cores share the work. */
import { expect, test } from 'vitest';
import { runSeed } from './run.ts';

const perTest = 10;

export function testSeeds(first: number, last: number): void {
  const blocks = Array.from({ length: (last - first + 1) / perTest }, (_, index) => first + index * perTest);
  test.each(blocks)(`${perTest} seeds from %i on hold every invariant`, { timeout: 120_000 }, async (begin) => {
    for (let seed = begin; seed < begin + perTest; seed += 1) {
      const { violations } = await runSeed({ seed, hours: 0 });
      expect(violations, `npm run sim -- --seed=${seed}`).toEqual([]);
    }
  });
}
