/** A few hundred seeds of the whole cluster under faults. A seed that fails here is replayed with the command it names. */
import { describe, expect, test } from 'vitest';
import { runSeed } from './run.ts';

const firstSeed = 1;
const lastSeed = 200;
const perTest = 25;

const blocks = Array.from({ length: (lastSeed - firstSeed + 1) / perTest }, (_, index) => firstSeed + index * perTest);

describe('the cluster under simulation', () => {
  test.each(blocks)('holds every invariant for the 25 seeds from %i on', { timeout: 120_000 }, async (first) => {
    for (let seed = first; seed < first + perTest; seed += 1) {
      const { violations } = await runSeed({ seed, hours: 0 });
      expect(violations, `npm run sim -- --seed=${seed}`).toEqual([]);
    }
  });
});
