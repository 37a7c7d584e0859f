/** A steady mix of writes and reads against the API, and how long the reads took. */
import { systemClock } from '../../../lib/clock.ts';
import { toEnvelope } from '../../../lib/model/codec.ts';
import type { ConfigMap } from '../../../proto/gen/types.ts';
import type { ClusterClient } from '../cluster.ts';

export interface MixOptions {
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  readonly durationMs: number;
  /** Pods to read, by namespace and name. */
  readonly pods: readonly { readonly namespace: string; readonly name: string }[];
}

export interface MixResult {
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  readonly readMs: readonly number[];
  readonly writeMs: readonly number[];
  readonly failures: readonly string[];
}

const objects = 200;
const turnMs = 10;
/** Clients that are so far behind wait instead of asking for more: those that write, and those that read. */
const mostWaiting = { writes: 200, reads: 100 };

/** Two of three reads are of one pod, the others are lists of a page of fifty. */
export async function readWriteMix(cluster: ClusterClient, options: MixOptions): Promise<MixResult> {
  const { writesPerSecond, readsPerSecond, durationMs, pods } = options;
  for (let index = 0; index < objects; index += 1) await cluster.Create({ object: toEnvelope(configMap(index, 0)) });
  const readMs: number[] = [];
  const writeMs: number[] = [];
  const failures: string[] = [];
  const waiting = { reads: new Set<Promise<unknown>>(), writes: new Set<Promise<unknown>>() };
  const timed = (call: Promise<unknown>, kind: 'reads' | 'writes'): void => {
    const into = kind === 'reads' ? readMs : writeMs;
    const beganMs = systemClock.monotonicMs();
    const done = call.then(
      () => into.push(systemClock.monotonicMs() - beganMs),
      (error: Error) => failures.push(error.message),
    );
    const settled: Promise<unknown> = done.finally(() => waiting[kind].delete(settled));
    waiting[kind].add(settled);
  };
  let reads = 0;
  let writes = 0;
  const read = (): Promise<unknown> => {
    const { namespace, name } = pods[(reads * 7919) % pods.length]!;
    return reads % 3 < 2
      ? cluster.Get({ kind: 'Pod', namespace, name })
      : cluster.List({ kind: 'Pod', namespace, limit: 50 });
  };
  const startMs = systemClock.monotonicMs();
  for (let nowMs = startMs; nowMs < startMs + durationMs; nowMs = systemClock.monotonicMs()) {
    const elapsed = (nowMs - startMs) / 1000;
    for (; writes < elapsed * writesPerSecond && waiting.writes.size < mostWaiting.writes; writes += 1) {
      const patch = JSON.stringify({ data: { value: String(writes) } });
      const name = `mix-${writes % objects}`;
      timed(cluster.Patch({ kind: 'ConfigMap', namespace: 'default', name, patch }), 'writes');
    }
    for (; reads < elapsed * readsPerSecond && waiting.reads.size < mostWaiting.reads; reads += 1)
      timed(read(), 'reads');
    await systemClock.sleep(turnMs);
  }
  await Promise.all([...waiting.reads, ...waiting.writes]);
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  return {
    writesPerSecond: writeMs.length / seconds,
    readsPerSecond: readMs.length / seconds,
    ...{ readMs, writeMs, failures },
  };
}

function configMap(index: number, value: number): ConfigMap {
  const metadata = { name: `mix-${index}`, namespace: 'default' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value: String(value), filler: 'x'.repeat(500) } };
}
