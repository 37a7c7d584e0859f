/** A steady mix of writes and reads against the API, and how long they took. */
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../lib/clock.ts';
import { toEnvelope } from '../../../lib/model/codec.ts';
import { systemExec } from '../../../lib/process.ts';
import type { ConfigMap } from '../../../proto/gen/types.ts';
import type { ClusterClient } from '../cluster.ts';
import type { Plane } from './plane.ts';

export interface MixOptions {
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  readonly durationMs: number;
  /** Pods to read, by namespace and name. */
  readonly pods: readonly { readonly namespace: string; readonly name: string }[];
}

/** For client.ts. */
export interface ClientJob {
  readonly dataDir: string;
  readonly verb: 'read' | 'write';
  readonly perSecond: number;
  readonly durationMs: number;
  readonly pods: MixOptions['pods'];
}

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
const clientProgram = fileURLToPath(new URL('client.ts', import.meta.url));

/** Each kind of client has a process of its own, so that its work is not taken for the server's. */
export async function readWriteMix({ cluster, dataDir }: Plane, options: MixOptions): Promise<MixResult> {
  const { writesPerSecond, readsPerSecond, durationMs, pods } = options;
  const created = Array.from({ length: objects }, (_, index) =>
    cluster.Create({ object: toEnvelope(configMap(index, 0)) }),
  );
  await Promise.all(created);
  const [writes, reads] = await Promise.all([
    answersOf({ dataDir, verb: 'write', perSecond: writesPerSecond, durationMs, pods: [] }),
    answersOf({ dataDir, verb: 'read', perSecond: readsPerSecond, durationMs, pods }),
  ]);
  return { writes, reads };
}

async function answersOf(job: ClientJob): Promise<Answers> {
  const stdio: ('ignore' | 'inherit' | 'ipc')[] = ['ignore', 'ignore', 'inherit', 'ipc'];
  const child = systemExec().start([process.execPath, clientProgram], { stdio });
  child.send(job);
  return new Promise((resolve, reject) => {
    child.once('message', (answers) => resolve(answers as Answers));
    child.once('exit', () => reject(new Error(`the client that should ${job.verb} has ended before its time`)));
  });
}

export function writeOnce(cluster: ClusterClient, index: number): Promise<unknown> {
  const patch = JSON.stringify({ data: { value: String(index) } });
  return cluster.Patch({ kind: 'ConfigMap', namespace: 'default', name: `mix-${index % objects}`, patch });
}

/** Two of three reads are of one pod, the others are lists of a page of fifty. */
export function readOnce(cluster: ClusterClient, pods: MixOptions['pods'], index: number): Promise<unknown> {
  const { namespace, name } = pods[(index * 7919) % pods.length]!;
  if (index % 3 < 2) return cluster.Get({ kind: 'Pod', namespace, name });
  return cluster.List({ kind: 'Pod', namespace, limit: 50 });
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
