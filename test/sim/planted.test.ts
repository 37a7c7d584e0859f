/** The checkers bite: a bug planted against each invariant is found soon. */
import { expect, test } from 'vitest';
import { plants } from './plants.ts';
import { runSeed } from './run.ts';
import { invariants } from './violations.ts';

const mostSeeds = 1_000;

test.each(plants)('$finds is found violated when $name', { timeout: 120_000 }, async ({ finds, make, focus }) => {
  let seed = 1;
  for (; seed <= mostSeeds; seed += 1) {
    const { violations } = await runSeed({ seed, hours: 0, plants: make(), ...(focus && { focus }) });
    if (violations.some(({ invariant }) => invariant === finds)) break;
  }
  expect(seed, 'the first seed that finds it').toBeLessThanOrEqual(mostSeeds);
});

test('every invariant has its planted bug', () => {
  expect(new Set(plants.map(({ finds }) => finds))).toEqual(new Set(Object.keys(invariants)));
});
