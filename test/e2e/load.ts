/**
 * A constant load of applies with a ledger of what was acknowledged, and a witness of where every pod was bound: for
 * tests and benches that break something meanwhile, and want to know what of it was felt.
 */
import type { ClusterClient } from '../../cli/context.ts';
import { systemClock } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import type { ConfigMap, Pod } from '../../proto/gen/types.ts';

export interface LoadOptions {
  /** Each of them writes by itself, one apply after another; a client may fail over or not. */
  readonly writers: readonly ClusterClient[];
  /** Between an answer and the next apply. Default 50. */
  readonly everyMs?: number;
  /** Default 3,000. */
  readonly deadlineMs?: number;
  /** Default "default". */
  readonly namespace?: string;
}

export interface Load {
  /** Applies answered so far. */
  readonly acknowledged: number;
  /** Those that ended without an answer: they may be stored or not. */
  readonly unanswered: number;
  /** The longest time in which no apply of any writer was answered, in ms. */
  readonly longestSilenceMs: number;
  /** For every ConfigMap, the newest value whose write was acknowledged. */
  readonly ledger: ReadonlyMap<string, number>;
  /** Ends it when the applies on their way are answered. */
  stop(): Promise<void>;
}

/** Every other apply makes a new ConfigMap, the others change the writer's own. */
export function startLoad({ writers, everyMs = 50, deadlineMs = 3000, namespace = 'default' }: LoadOptions): Load {
  const ledger = new Map<string, number>();
  const counts = { acknowledged: 0, unanswered: 0, longestSilenceMs: 0 };
  let lastAnswerMs = systemClock.monotonicMs();
  let ended = false;
  const answered = (): void => {
    const nowMs = systemClock.monotonicMs();
    counts.longestSilenceMs = Math.max(counts.longestSilenceMs, nowMs - lastAnswerMs);
    lastAnswerMs = nowMs;
  };
  const write = async (client: ClusterClient, writer: number): Promise<void> => {
    for (let value = 1; !ended; value += 1) {
      const name = value % 2 === 0 ? `load-${writer}` : `load-${writer}-${value}`;
      const object: ConfigMap = {
        ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: { app: 'load' } } },
        data: { value: `${value}` },
      };
      try {
        await client.Apply({ object: toEnvelope(object), fieldManager: `load-${writer}` }, { deadlineMs });
        ledger.set(name, value);
        counts.acknowledged += 1;
        answered();
      } catch {
        counts.unanswered += 1;
      }
      await systemClock.sleep(everyMs);
    }
  };
  const writing = writers.map(write);
  return {
    get acknowledged() {
      return counts.acknowledged;
    },
    get unanswered() {
      return counts.unanswered;
    },
    get longestSilenceMs() {
      return counts.longestSilenceMs;
    },
    ledger,
    async stop() {
      ended = true;
      await Promise.all(writing);
    },
  };
}

/** Pure. What was acknowledged and is not there any more: "name: 7 acknowledged, 6 stored". */
export function lostWrites(ledger: ReadonlyMap<string, number>, stored: readonly ConfigMap[]): string[] {
  const values = new Map(stored.map(({ metadata, data }) => [metadata.name, Number(data?.value ?? 0)]));
  return [...ledger].flatMap(([name, value]) => {
    const found = values.get(name) ?? 0;
    return found < value ? [`${name}: ${value} acknowledged, ${found} stored`] : [];
  });
}

export interface BindingWitness {
  /** Pods seen bound to a node, by uid. */
  readonly bound: ReadonlyMap<string, string>;
  /** Pods that were bound to one node and then to another one. */
  readonly twice: readonly string[];
  stop(): Promise<void>;
}

/** Sees every change of every pod, from whichever client answers; none is left out while one is asked after another. */
export function witnessBindings(clients: readonly ClusterClient[]): BindingWitness {
  const bound = new Map<string, string>();
  const twice: string[] = [];
  const ending = new AbortController();
  const see = (pod: Pod | undefined): void => {
    const { uid = '', name } = pod?.metadata ?? {};
    const node = pod?.spec.nodeName;
    if (!node) return;
    const before = bound.get(uid);
    if (before !== undefined && before !== node) twice.push(`${name} (${uid}): ${before}, then ${node}`);
    bound.set(uid, node);
  };
  const follow = async (): Promise<void> => {
    let resourceVersion = '';
    for (let turn = 0; !ending.signal.aborted; turn += 1) {
      const client = clients[turn % clients.length]!;
      try {
        const watch = client.Watch({ kind: 'Pod', namespace: '', resourceVersion }, { signal: ending.signal });
        for await (const event of watch) {
          see(fromEnvelope(event.object) as Pod | undefined);
          resourceVersion = event.resourceVersion ?? resourceVersion;
        }
      } catch (error) {
        if (isGantryError(error, 'outOfRange')) resourceVersion = '';
        await systemClock.sleep(100); // another one is asked where this one left off
      }
    }
  };
  const following = follow();
  return {
    bound,
    twice,
    async stop() {
      ending.abort();
      await following;
    },
  };
}
