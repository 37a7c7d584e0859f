/**
 * Golden stories: `UPDATE_SCENARIOS=1 npx vitest run test/sim/scenario.test.ts` writes them anew; read the difference.
 * Between two steps the same things must have happened, each within two seconds of when the story says.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { expect, test } from 'vitest';
import { parseScenario, runScript, scenarioFolder } from './scenario.ts';

const files = readdirSync(scenarioFolder).filter((name) => name.endsWith('.txt'));
const toleranceSeconds = 2;

interface Line {
  readonly seconds: number;
  readonly text: string;
}

/** One list for each step of the script, the lines of each in the order of their texts. */
function blocks(story: string): Line[][] {
  const all: Line[][] = [[]];
  for (const line of story.split('\n').filter(Boolean)) {
    const [, seconds = '', text = ''] = /^ *(\d+) s {2}(.*)$/.exec(line) ?? [];
    if (text.startsWith('> ')) all.push([]);
    all.at(-1)!.push({ seconds: Number(seconds), text });
  }
  return all.map((block) => block.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.seconds - b.seconds)));
}

test.each(files)('%s', { timeout: 30_000 }, async (name) => {
  const file = join(scenarioFolder, name);
  const { script, story } = parseScenario(readFileSync(file, 'utf8'));
  const told = await runScript(script);
  if (env.UPDATE_SCENARIOS) {
    writeFileSync(file, `${script}---\n${told}`);
    return;
  }
  const [expected, actual] = [blocks(story).flat(), blocks(told).flat()];
  expect(actual.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
  for (const [index, { seconds, text }] of actual.entries()) {
    expect(Math.abs(seconds - expected[index]!.seconds), `${text} at ${seconds} s`).toBeLessThanOrEqual(
      toleranceSeconds,
    );
  }
});
