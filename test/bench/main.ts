/**
 * `npm run bench [-- NAME...] [--json] [--nodes N] [--pods N]`: measures, side by side with a bare tool where there is one. Never a test: these
 * numbers depend on the machine; the ratios less so.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { jsonLine, type Metric, type Report, tableRow } from './report.ts';

interface Options {
  readonly nodes?: number;
  readonly pods?: number;
}

const benches: Readonly<Record<string, () => Promise<{ run(report: Report, options: Options): Promise<void> }>>> = {
  scheduler: () => import('./scheduler.ts'),
  dns: () => import('./dns.ts'),
  footprint: () => import('./footprint.ts'),
  start: () => import('./start.ts'),
  'node-death': () => import('./node-death.ts'),
  durable: () => import('./durable.ts'),
  scale: () => import('./scale.ts'),
  heartbeats: () => import('./heartbeats.ts'),
  watchers: () => import('./watchers.ts'),
};

const usage = `usage: npm run bench [-- NAME...] [--json] [--nodes N] [--pods N]
  NAME: ${Object.keys(benches).join(', ')}; all of them when none is named`;
const { positionals, values } = argumentsGiven();
if (values.help) {
  console.log(usage);
  process.exit();
}
const options: Options = {
  ...(values.nodes !== undefined && { nodes: Number(values.nodes) }),
  ...(values.pods !== undefined && { pods: Number(values.pods) }),
};
const unknown = positionals.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`no bench called ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
const metrics: Metric[] = [];
const report: Report = (metric) => {
  metrics.push(metric);
  if (values.json) console.log(jsonLine(metric));
};
let failed = false;
for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
  if (!values.json) console.error(`bench ${name} ...`);
  try {
    await (await benches[name]!()).run(report, options);
  } catch (error) {
    failed = true;
    console.error(`bench ${name} failed: ${error instanceof Error ? error.stack : error}`);
  }
}
if (!values.json) {
  const table = new Table({
    head: ['bench', 'metric', 'value', 'peer', 'ratio', 'target'],
    style: { head: [], border: [] },
  });
  table.push(...metrics.map(tableRow));
  console.log(table.toString());
}
process.exitCode = failed ? 1 : 0;

function argumentsGiven() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({ allowPositionals: true, options: { json: flag, help: flag, nodes: text, pods: text } });
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}
