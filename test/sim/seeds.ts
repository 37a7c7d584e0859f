/** What both files of seeds do; two files, so that two cores share the work. */
import { afterAll, expect, test } from 'vitest';
import { runSeed } from './run.ts';

const perTest = 10;

export function testSeeds(first: number, last: number): void {
  const blocks = Array.from({ length: (last - first + 1) / perTest }, (_, index) => first + index * perTest);
  let [seeds, steps] = [0, 0];
  const startMs = performance.now();
  test.each(blocks)(`${perTest} seeds from %i on hold every invariant`, { timeout: 240_000 }, async (begin) => {
    for (let seed = begin; seed < begin + perTest; seed += 1) {
      const result = await runSeed({ seed, hours: 0 });
      expect(result.violations, `npm run sim -- --seed=${seed}`).toEqual([]);
      seeds += 1;
      steps += result.steps;
    }
  });
  afterAll(() => {
    const seconds = (performance.now() - startMs) / 1000;
    const pace = `${(seeds / seconds).toFixed(1)} seeds a second`;
    process.stdout.write(`simulation: ${seeds} seeds, ${steps} steps in ${seconds.toFixed(0)} s (${pace})\n`);
  });
}
