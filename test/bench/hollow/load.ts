/** A steady mix of writes and reads against the API, and how long they took. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../lib/clock.ts';
import { toEnvelope } from '../../../lib/model/codec.ts';
import { systemExec } from '../../../lib/process.ts';
import type { ConfigMap } from '../../../proto/gen/types.ts';
import type { Plane } from './plane.ts';

export interface MixOptions {
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  readonly durationMs: number;
  /** Pods to read, by namespace and name. */
  readonly pods: readonly { readonly namespace: string; readonly name: string }[];
}

/** For reader.ts. */
export type ReadJob = Omit<MixOptions, 'writesPerSecond'> & { readonly dataDir: string };

export interface Answers {
  /** How long each took that was answered. */
  readonly ms: readonly number[];
  readonly failures: readonly string[];
  readonly perSecond: number;
}

export interface MixResult {
  readonly writes: Answers;
  readonly reads: Answers;
}

const objects = 200;
const turnMs = 10;
/** A client that is so far behind waits instead of asking for more. */
const mostWaiting = 200;
const readerProgram = fileURLToPath(new URL('reader.ts', import.meta.url));

/** Those who read have a process of their own: the writers' work must not be taken for the server's. */
export async function readWriteMix(plane: Plane, options: MixOptions): Promise<MixResult> {
  const { cluster, dataDir } = plane;
  const { writesPerSecond, readsPerSecond, durationMs, pods } = options;
  for (let index = 0; index < objects; index += 1) await cluster.Create({ object: toEnvelope(configMap(index, 0)) });
  const stdio: ('ignore' | 'inherit' | 'ipc')[] = ['ignore', 'ignore', 'inherit', 'ipc'];
  const reader: ChildProcess = systemExec().start([process.execPath, readerProgram], { stdio });
  reader.send({ dataDir, readsPerSecond, durationMs, pods } satisfies ReadJob);
  const answered = once(reader, 'message') as Promise<[Answers]>;
  const ended = once(reader, 'exit').then(() => {
    throw new Error('the process that reads has ended before its time');
  });
  ended.catch(() => {});
  const [writes, [reads]] = await Promise.all([
    askSteadily({ perSecond: writesPerSecond, durationMs }, (index) => {
      const patch = JSON.stringify({ data: { value: String(index) } });
      return cluster.Patch({ kind: 'ConfigMap', namespace: 'default', name: `mix-${index % objects}`, patch });
    }),
    Promise.race([answered, ended]),
  ]);
  return { writes, reads };
}

/** So many a second, whether those before have been answered or not. */
export async function askSteadily(
  { perSecond, durationMs }: { readonly perSecond: number; readonly durationMs: number },
  ask: (index: number) => Promise<unknown>,
): Promise<Answers> {
  const ms: number[] = [];
  const failures: string[] = [];
  const waiting = new Set<Promise<unknown>>();
  const timed = (call: Promise<unknown>): void => {
    const beganMs = systemClock.monotonicMs();
    const done = call.then(
      () => ms.push(systemClock.monotonicMs() - beganMs),
      (error: Error) => failures.push(error.message),
    );
    const settled: Promise<unknown> = done.finally(() => waiting.delete(settled));
    waiting.add(settled);
  };
  const startMs = systemClock.monotonicMs();
  let asked = 0;
  for (let nowMs = startMs; nowMs < startMs + durationMs; nowMs = systemClock.monotonicMs()) {
    const due = ((nowMs - startMs) / 1000) * perSecond;
    for (; asked < due && waiting.size < mostWaiting; asked += 1) timed(ask(asked));
    await systemClock.sleep(turnMs);
  }
  await Promise.all(waiting);
  return { ms, failures, perSecond: ms.length / ((systemClock.monotonicMs() - startMs) / 1000) };
}

function configMap(index: number, value: number): ConfigMap {
  const metadata = { name: `mix-${index}`, namespace: 'default' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value: String(value), filler: 'x'.repeat(500) } };
}
