/**
 * `npm test`: every check there is, one after the other, whether or not an earlier one failed. The last line is
 * "N passed, N failed": tests one by one, and each other check as one.
 * usage: npm test -- [types] [style] [generated] [unit] [contract] [e2e]      all of them when none is named
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../lib/clock.ts';
import { systemExec } from '../lib/process.ts';
import { failedAs, type Report, type Tally, tallyOf, total } from './tally.ts';

const root = resolve(import.meta.dirname, '..');
const bin = join(root, 'node_modules/.bin');
const exec = systemExec();
const isRoot = process.getuid?.() === 0;

interface Check {
  readonly names: readonly string[];
  run(wanted: readonly string[]): Promise<Tally>;
}

const checks: readonly Check[] = [
  { names: ['types'], run: () => command('tsc', '--noEmit') },
  { names: ['style'], run: () => command('biome', 'check', '.') },
  { names: ['generated'], run: () => command('node', 'proto/generate.ts', '--check') },
  { names: ['unit', 'contract'], run: vitest },
  { names: ['e2e'], run: vitest },
];

const names = checks.flatMap((check) => check.names);
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`unknown check "${unknown.join(' ')}"; there are: ${names.join(', ')}`);
  process.exit(2);
}

const tallies: Tally[] = [];
for (const check of checks) {
  const wanted = check.names.filter((name) => (asked.length === 0 || asked.includes(name)) && allowed(name));
  if (wanted.length === 0) continue;
  const startedMs = systemClock.monotonicMs();
  console.log(`\n== ${wanted.join(' and ')}`);
  tallies.push(await check.run(wanted));
  console.log(`== ${wanted.join(' and ')}: ${((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1)} s`);
}
const { passed, failed, failures } = total(tallies);
process.exitCode = failed === 0 ? 0 : 1;
for (const failure of failures) console.log(`failed: ${failure.replace(`${root}/`, '')}`);
console.log(`\n${passed} passed, ${failed} failed`);

function allowed(name: string): boolean {
  if (isRoot || (name !== 'contract' && name !== 'e2e')) return true;
  console.log(`\n== ${name}: left out, it needs root`);
  return false;
}

async function command(...argv: readonly string[]): Promise<Tally> {
  const ok = (await execute(argv)) === 0;
  return ok ? { passed: 1, failed: 0, failures: [] } : failedAs(argv.join(' '));
}

async function vitest(projects: readonly string[]): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-test-'));
  const file = join(folder, 'report.json');
  try {
    const selection = projects.flatMap((project) => ['--project', project]);
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const status = await execute(['vitest', 'run', ...selection, ...reporters]);
    return tallyOf(readReport(file), status === 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Undefined when vitest ended before it could write one. */
function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}

function execute([program = '', ...rest]: readonly string[]): Promise<number> {
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, NODE_COMPILE_CACHE: join(root, '.cache/node') };
  const child = exec.start([join(bin, program), ...rest], { cwd: root, stdio: 'inherit', env });
  return new Promise((done) => {
    child.once('error', (error) => {
      console.error(error.message);
      done(1);
    });
    child.once('exit', (code) => done(code ?? 1));
  });
}
