/**
 * A process of clients that watch ConfigMaps, some of which stop reading when they are told to. Told to go on, those
 * read what is left, resume from the revision that the error names, and read to the end.
 */
import { readConfig } from '../../../cli/config.ts';
import { connectTo } from '../../../cli/connection.ts';
import { systemClock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { WatchEvent } from '../../../proto/gen/types.ts';
import type { ClusterClient } from '../cluster.ts';

export interface WatchCommand {
  readonly start?: {
    readonly config: string;
    readonly healthy: number;
    readonly stalling: number;
    readonly since: string;
  };
  readonly stall?: true;
  /** Latencies are counted anew. */
  readonly measure?: true;
  readonly goOn?: true;
}

export interface WatchReport {
  /** Of the client that has the fewest and of all together, events seen. */
  readonly fewest: number;
  readonly fewestStalling: number;
  readonly p99Ms: number;
  readonly mostMs: number;
  readonly deliveries: number;
  /** Clients whose watch ended with a revision to resume from. */
  readonly told: number;
  /** Gaps or repetitions. */
  readonly wrong: number;
  readonly failures: readonly string[];
}

const reportMs = 250;
const connectionsAtOnce = 8;
const clients: WatchingClient[] = [];
const failures: string[] = [];
let latenciesMs: number[] = [];
let stalled = false;
let goOn = Promise.withResolvers<void>();

class WatchingClient {
  readonly stalls: boolean;
  seen = 0;
  told = false;
  wrong = 0;
  /** By object: the number that comes next. */
  readonly #next = new Map<string, number>();
  #cluster!: ClusterClient;

  constructor(stalls: boolean) {
    this.stalls = stalls;
  }

  async connect(configPath: string): Promise<void> {
    this.#cluster = connectTo(readConfig(configPath));
    await this.#cluster.GetClusterInfo({});
  }

  async run(since: string): Promise<void> {
    let resourceVersion = since;
    for (;;) {
      try {
        for await (const event of this.#cluster.Watch({ kind: 'ConfigMap', namespace: 'default', resourceVersion })) {
          resourceVersion = event.resourceVersion ?? resourceVersion;
          this.#take(event);
          if (stalled && this.stalls) await goOn.promise;
        }
      } catch (error) {
        const named = /resume from revision (\d+)$/.exec(messageOf(error))?.[1];
        if (named === undefined) throw error;
        this.told = true;
        if (BigInt(named) < BigInt(resourceVersion)) this.wrong += 1;
        resourceVersion = named;
      }
    }
  }

  #take({ object }: WatchEvent): void {
    const { metadata, data: { n, sentAtMs } = {} } = object?.configMap ?? {};
    if (n === undefined) return;
    const name = metadata?.name ?? '';
    if (Number(n) !== (this.#next.get(name) ?? 0)) this.wrong += 1;
    this.#next.set(name, Number(n) + 1);
    this.seen += 1;
    if (!this.stalls) latenciesMs.push(systemClock.nowMs() - Number(sentAtMs));
  }
}

/** Connections first, a few at a time; then all watches. */
async function begin({ config, healthy, stalling, since }: NonNullable<WatchCommand['start']>): Promise<void> {
  const all = Array.from({ length: healthy + stalling }, (_, index) => new WatchingClient(index >= healthy));
  const waiting = [...all];
  const worker = async (): Promise<void> => {
    for (let client = waiting.shift(); client; client = waiting.shift()) await client.connect(config);
  };
  await Promise.all(Array.from({ length: connectionsAtOnce }, worker));
  clients.push(...all);
  await Promise.all(all.map((client) => client.run(since)));
}

function report(): void {
  const sorted = Float64Array.from(latenciesMs).sort();
  const fewest = (of: readonly WatchingClient[]) => Math.min(...of.map(({ seen }) => seen));
  const message: WatchReport = {
    fewest: fewest(clients.filter(({ stalls }) => !stalls)),
    fewestStalling: fewest(clients.filter(({ stalls }) => stalls)),
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    mostMs: sorted.at(-1) ?? 0,
    deliveries: sorted.length,
    told: clients.filter(({ told }) => told).length,
    wrong: clients.reduce((sum, { wrong }) => sum + wrong, 0),
    failures,
  };
  process.send?.(message);
  systemClock.schedule(reportMs, report);
}

process.on('message', ({ start, stall, measure, goOn: ended }: WatchCommand) => {
  if (start) {
    void begin(start).catch((error: unknown) => failures.push(messageOf(error)));
    report();
  }
  if (measure) latenciesMs = [];
  if (stall) stalled = true;
  if (ended) {
    stalled = false;
    goOn.resolve();
    goOn = Promise.withResolvers();
  }
});
process.on('disconnect', () => process.exit());
