/** Golden stories: `UPDATE_SCENARIOS=1 npx vitest run test/sim/scenario.test.ts` writes them anew; read the difference. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { expect, test } from 'vitest';
import { parseScenario, runScript, scenarioFolder } from './scenario.ts';

const files = readdirSync(scenarioFolder).filter((name) => name.endsWith('.txt'));

test.each(files)('%s', { timeout: 30_000 }, async (name) => {
  const file = join(scenarioFolder, name);
  const { script, story } = parseScenario(readFileSync(file, 'utf8'));
  const told = await runScript(script);
  if (env.UPDATE_SCENARIOS) writeFileSync(file, `${script}---\n${told}`);
  else expect(told).toBe(story);
});
