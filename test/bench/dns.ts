/** DNS queries a second, measured by dnsperf on loopback, beside a bare node:dgram echo. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GantryError } from '../../lib/errors.ts';
import { systemExec } from '../../lib/process.ts';
import type { Report } from './report.ts';

const bench = 'dns';
const seconds = 4;
/** Turn and turn about, so that a busy moment of the machine hits both. */
const rounds = 3;
const exec = systemExec();

export async function run(report: Report): Promise<void> {
  if ((await exec.run(['sh', '-c', 'command -v dnsperf'])).exitCode !== 0) {
    throw new GantryError('failedPrecondition', 'dnsperf is not installed: apt-get install dnsperf');
  }
  const folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
  try {
    const queries = join(folder, 'queries');
    const names = Array.from({ length: 100 }, (_, i) => `web-${i}.default.svc.cluster.local A\n`);
    writeFileSync(queries, names.join(''));
    const rates: { gantry: number[]; echo: number[] } = { gantry: [], echo: [] };
    for (let round = 0; round < rounds; round++) {
      for (const kind of ['echo', 'gantry'] as const) rates[kind].push(await measure(kind, queries));
    }
    const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
    report({
      bench,
      metric: 'A queries of 100 services',
      value: median(rates.gantry),
      unit: 'queries/s',
      peer: { name: 'bare node:dgram echo', value: median(rates.echo) },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(kind: 'gantry' | 'echo', queries: string): Promise<number> {
  const server = exec.start([process.execPath, join(import.meta.dirname, 'dns-server.ts'), kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  try {
    const port = await firstLine(server.stdout!);
    const options = ['-s', '127.0.0.1', '-p', port, '-d', queries, '-l', String(seconds), '-c', '8', '-q', '200'];
    const { stdout } = await exec.check(['dnsperf', ...options]);
    const [, rate] = /Queries per second:\s+([\d.]+)/.exec(stdout) ?? [];
    const [, answered] = /Response codes:\s+NOERROR \d+ \(([\d.]+)%\)/.exec(stdout) ?? [];
    if (rate === undefined || answered !== '100.00') throw new Error(`dnsperf against ${kind}:\n${stdout}`);
    return Number(rate);
  } finally {
    server.stdin!.end();
    await ended;
  }
}

async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stream })) return line;
  throw new Error('the server said nothing');
}
