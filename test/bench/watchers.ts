/**
 * `npm run bench -- watchers`: 200 clients watch the same objects of one real control plane, 20 of them stop reading
 * while 10,000 changes are written. What that costs the control plane in memory, how late the others learn of the
 * changes, and whether those that stood still get the rest without a gap.
 */
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../lib/clock.ts';
import { toEnvelope } from '../../lib/model/codec.ts';
import { adminConfPath } from '../../lib/pki/cluster-pki.ts';
import { systemExec } from '../../lib/process.ts';
import type { ConfigMap } from '../../proto/gen/types.ts';
import type { ClusterClient } from './cluster.ts';
import { Plane } from './hollow/plane.ts';
import type { WatchCommand, WatchReport } from './hollow/watch-clients.ts';
import type { Report } from './report.ts';

const bench = 'watchers';
const healthy = 180;
const stalling = 20;
/** At the same pace, until what is kept for watchers and the heap have their usual size. */
const warmUp = 4_000;
const objects = 8;
const longestWriteMs = 150_000;
const events = 10_000;
const eventsPerSecond = 100;
const timeoutMs = 240_000;
const program = fileURLToPath(new URL('hollow/watch-clients.ts', import.meta.url));

export async function run(report: Report): Promise<void> {
  const plane = await Plane.start();
  const child = systemExec().start([process.execPath, program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  let seen: WatchReport | undefined;
  child.on('message', (message) => {
    seen = message as WatchReport;
  });
  const tell = (command: WatchCommand): boolean => child.send(command);
  const until = async (what: string, condition: (report: WatchReport) => boolean): Promise<WatchReport> => {
    const deadlineMs = systemClock.monotonicMs() + timeoutMs;
    for (;;) {
      if (seen && condition(seen)) return seen;
      if (seen?.failures[0] !== undefined) throw new Error(`a watching client: ${seen.failures[0]}`);
      if (systemClock.monotonicMs() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
      await systemClock.sleep(100);
    }
  };
  try {
    const { resourceVersion: since = '' } = await plane.cluster.List({ kind: 'ConfigMap', namespace: 'default' });
    tell({ start: { config: adminConfPath(`${plane.folder}/data`), healthy, stalling, since } });
    const writer = new Writer(plane.cluster);
    const warm = await writer.write(warmUp);
    await until('warm up', ({ fewest, fewestStalling }) => Math.min(fewest, fewestStalling) === warm);
    const before = plane.residentBytes();
    let most = before;
    const watching = new AbortController();
    void sampleMemory(watching.signal, () => {
      most = Math.max(most, plane.residentBytes());
    });
    tell({ stall: true, measure: true });
    const startMs = systemClock.monotonicMs();
    const cpuBefore = plane.cpuSeconds();
    const written = await writer.write(events);
    const rate = written / ((systemClock.monotonicMs() - startMs) / 1000);
    const end = await until('all events', ({ fewest }) => fewest === warm + written);
    const cpu = plane.cpuSeconds() - cpuBefore;
    watching.abort(new Error('measured'));
    const stood = end.fewestStalling;
    tell({ goOn: true });
    const last = await until('the rest', ({ fewestStalling }) => fewestStalling === warm + written);
    const say = (metric: string, value: number, unit: string, bound?: number): void => {
      report({
        bench,
        metric,
        value,
        unit,
        ...(bound !== undefined && { target: { bound: '<=' as const, value: bound } }),
      });
    };
    const target = { bound: '>=', value: events } as const;
    report({
      bench,
      metric: `events to ${healthy} that read, ${stalling} that do not`,
      value: written,
      unit: '',
      target,
    });
    say('events written', rate, '/s');
    say('memory growth of the control plane', (most - before) / 2 ** 20, 'MiB', 64);
    say('p99 of the clients that read', end.p99Ms, 'ms', 1000);
    say('slowest delivery to those', end.mostMs, 'ms');
    say('for each delivery, writing included', (cpu / end.deliveries) * 1e6, 'µs of processor time');
    say('events seen by those that stood still, meanwhile', stood - warm, '');
    say('stalled watches not closed with a revision to resume from', stalling - last.told, '', 0);
    say('gaps and repetitions, after resuming', last.wrong, '', 0);
  } finally {
    child.kill('SIGKILL');
    await plane.remove();
  }
}

/** Some objects, each written by a loop of its own that numbers its changes. */
class Writer {
  readonly #cluster: ClusterClient;
  readonly #numbers: number[] = Array.from({ length: objects }, () => 0);

  constructor(cluster: ClusterClient) {
    this.#cluster = cluster;
  }

  /** Resolves with how many there were: fewer than wanted when time is over. */
  async write(count: number): Promise<number> {
    const startMs = systemClock.monotonicMs();
    let written = 0;
    const loop = async (_: unknown, index: number): Promise<void> => {
      while (written < count && systemClock.monotonicMs() - startMs < longestWriteMs) {
        const place = written++;
        const aheadMs = (place / eventsPerSecond) * 1000 - (systemClock.monotonicMs() - startMs);
        if (aheadMs > 0) await systemClock.sleep(aheadMs);
        await this.#change(index);
      }
    };
    await Promise.all(this.#numbers.map(loop));
    return written;
  }

  async #change(index: number): Promise<void> {
    const n = this.#numbers[index]!++;
    const data = { n: String(n), sentAtMs: String(systemClock.nowMs()), filler: 'x'.repeat(1000) };
    const metadata = { name: `watched-${index}`, namespace: 'default' };
    const object = toEnvelope({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data } satisfies ConfigMap);
    await (n === 0 ? this.#cluster.Create({ object }) : this.#cluster.Update({ object }));
  }
}

async function sampleMemory(signal: AbortSignal, look: () => void): Promise<void> {
  while (!signal.aborted) {
    look();
    await systemClock.sleep(500, signal).catch(() => {});
  }
}
