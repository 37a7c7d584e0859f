/**
 * npm run sim -- --seed=N [--hours=H] [--trace] [--logs]               one seed; last line: its trace hash
 * npm run sim -- --seeds=N [--first-seed=K] [--hours=H] [--jobs=J]     many; last line: seeds, steps, violations
 * npm run sim -- --scenario=NAME                                       prints a scenario's trace
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../lib/errors.ts';
import { runMany, work } from './many.ts';
import { type RunResult, runSeed } from './run.ts';
import { scenarioTrace } from './scenario.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    'first-seed': { type: 'string', default: '1' },
    hours: { type: 'string', default: '0' },
    jobs: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    logs: { type: 'boolean', default: false },
    calm: { type: 'boolean', default: false },
    scenario: { type: 'string' },
    /** For `many.ts` alone. */
    worker: { type: 'boolean', default: false },
  },
});
const { calm } = values;
const hours = numberOf('hours', values.hours);
const print = (line: string): void => void process.stdout.write(line);

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new Error(`--${name}=${text}: give a number`);
}

function replayCommand(seed: number): string {
  return `npm run sim -- --seed=${seed} --hours=${hours}${calm ? ' --calm' : ''}`;
}

function describe({ seed, virtualMs, violations }: RunResult): void {
  for (const { invariant, atMs, message } of violations) {
    print(
      `seed ${seed}: ${invariant} violated at ${(atMs / 1000).toFixed(3)} s of ${virtualMs / 1000} s: ${message}\n`,
    );
  }
}

async function one(seed: number): Promise<number> {
  const result = await runSeed({
    seed,
    hours,
    calm,
    ...((values.trace || values.logs) && { onLine: print }),
    ...(values.logs && { onLog: print }),
  });
  describe(result);
  const { steps, virtualMs, violations, hash } = result;
  print(`seed ${seed}: ${virtualMs / 1000} virtual seconds, ${steps} steps, ${violations.length} violations\n`);
  print(`trace ${hash}\n`);
  return violations.length;
}

async function many(count: number, first: number, jobs: number): Promise<number> {
  const failed: number[] = [];
  let [done, steps, found] = [0, 0, 0];
  const startMs = performance.now();
  const onResult = (result: RunResult): void => {
    done += 1;
    steps += result.steps;
    found += result.violations.length;
    if (result.violations.length > 0) {
      failed.push(result.seed);
      describe(result);
      print(`  replay: ${replayCommand(result.seed)}\n`);
    }
    if (done % 100 !== 0) return;
    const perSecond = (done / (performance.now() - startMs)) * 1000;
    print(`${done} of ${count} seeds, ${perSecond.toFixed(1)} a second, ${failed.length} failed\n`);
  };
  await runMany({ first, count, jobs, hours, calm, onResult });
  for (const seed of failed.sort((a, b) => a - b)) print(`failed: ${replayCommand(seed)}\n`);
  print(`seeds ${count}, steps ${steps}, violations ${found}\n`);
  return found;
}

async function main(): Promise<number> {
  if (values.scenario !== undefined) {
    print(await scenarioTrace(values.scenario));
    return 0;
  }
  const first = numberOf('first-seed', values['first-seed']);
  if (values.seeds === undefined) return one(numberOf('seed', values.seed ?? `${first}`));
  return many(numberOf('seeds', values.seeds), first, numberOf('jobs', values.jobs));
}

process.on('unhandledRejection', (error) => {
  process.stderr.write(`unhandled rejection: ${error instanceof Error ? error.stack : messageOf(error)}\n`);
  process.exit(1);
});
if (values.worker) work();
else process.exit((await main()) > 0 ? 1 : 0);
