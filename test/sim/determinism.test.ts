/** One seed, one history: in this process, again in this process, and in another one. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runSeed } from './run.ts';

const main = join(import.meta.dirname, 'main.ts');

test('the same seed has the same trace hash, in another process too', { timeout: 60_000 }, async () => {
  const seed = 3;
  const first = await runSeed({ seed, hours: 0 });
  const second = await runSeed({ seed, hours: 0 });
  expect(second.hash).toBe(first.hash);
  const output = execFileSync(process.execPath, [main, `--seed=${seed}`], { encoding: 'utf8' });
  expect(output.trimEnd().split('\n').at(-1)).toBe(`trace ${first.hash}`);
});

test('another seed has another', async () => {
  const [one, other] = [await runSeed({ seed: 4, hours: 0 }), await runSeed({ seed: 6, hours: 0 })];
  expect(other.hash).not.toBe(one.hash);
});

test('a run lasts as long as it is asked to', { timeout: 60_000 }, async () => {
  const { virtualMs, violations } = await runSeed({ seed: 6, hours: 0.05 });
  expect(virtualMs).toBeGreaterThanOrEqual(180_000);
  expect(violations).toEqual([]);
});
