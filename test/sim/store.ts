/**
 * etcd as a replica sees it: the memory twin at the far end of a wire. Calls take time, may be refused, may be lost on
 * the way there (nothing happened) or on the way back (it happened), and may arrive long after the caller gave up.
 *
 * Who wrote what is told to the checker: the replica's process, and the user's operation that it served, if any.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { GantryError } from '../../lib/errors.ts';
import type { MemoryStore } from '../../lib/store/memory.ts';
import {
  AmbiguousWriteError,
  type GetResult,
  type Operation,
  type Store,
  type Transaction,
  type TransactionResult,
  type WatchBatch,
  type WatchOptions,
} from '../../lib/store/store.ts';
import { isWrite } from '../../lib/store/store-checks.ts';
import { storeWith } from '../../lib/store/store-with.ts';
import type { WatchEvent } from '../../proto/gen/types.ts';
import type { Network } from './network.ts';
import type { SimProcess } from './process.ts';

/** Whose call is being served; set around every call of a user. */
export const servedOperation = new AsyncLocalStorage<string>();
/** The revision that there was when the user began the call. */
export const servedSince = new AsyncLocalStorage<bigint>();

export interface Writer {
  readonly process: SimProcess;
  /** The user's operation. */
  readonly operation: string | undefined;
  /** What the writer decided upon is no older than this revision. */
  readonly known: bigint;
}

/** Bugs that tests plant. */
export interface StorePlants {
  readonly transact?: (transaction: Transaction, writer: Writer) => Transaction;
  /** No bug: how much longer than others a transaction is under way, so that something may come in between. */
  readonly lateMs?: (transaction: Transaction, writer: Writer) => number;
  readonly watchBatch?: (batch: WatchBatch, prefix: string) => WatchBatch | undefined;
  /** False: an event of a watch of the API is not delivered. */
  readonly watched?: (event: WatchEvent) => boolean;
  /** What the store is said to have come to, of what it has. */
  readonly asked?: (revision: bigint) => bigint;
  /** True: a read of this key finds nothing. */
  readonly misses?: (key: string) => boolean;
  /** True: the write is acknowledged and never made. */
  readonly forget?: (transaction: Transaction, writer: Writer) => boolean;
}

export interface EtcdHealth {
  available: boolean;
  /** Longest time that a call takes at the server. */
  slowMs: number;
  /** Share of writes that end without an answer; half of those have landed. */
  ambiguousShare: number;
  /** There is no leader: what waits for one. */
  election: (() => void)[] | undefined;
}

export interface SimEtcd {
  readonly memory: MemoryStore;
  readonly health: EtcdHealth;
  /** Who is writing the key at this moment; undefined while a lease ends by itself. */
  writerOf: (key: string) => Writer | undefined;
}

const host = 'etcd';
/** As the real client's. */
const timeoutMs = 5_000;

export interface SimStore {
  readonly store: Store;
  /** Around what puts several writes into one transaction: notes whose each of them is. */
  readonly eachWrite: (store: Store) => Store;
}

/** What is known of a write before it becomes part of another one. */
interface Note {
  readonly writer: Writer;
  readonly lateMs: number;
}

export function createSimStore(
  process: SimProcess,
  network: Network,
  etcd: SimEtcd,
  plants: StorePlants = {},
): SimStore {
  const { world } = process;
  const { memory, health } = etcd;
  const up = network.pipe(process.host, host);
  const down = network.pipe(host, process.host);

  /** One call there and back. */
  function call<T>(perform: () => Promise<T>, isWriting: boolean, lateMs = 0): Promise<T> {
    return process.effect(
      () =>
        new Promise<T>((resolve, reject) => {
          let settled = false;
          const settle = (outcome: () => void): void => {
            if (settled) return;
            settled = true;
            timer.cancel();
            outcome();
          };
          const timer = process.clock.schedule(timeoutMs, () =>
            settle(() => {
              reject(
                isWriting
                  ? new AmbiguousWriteError('etcd did not answer a write in time; it may have landed')
                  : new GantryError('unavailable', 'etcd did not answer in time'),
              );
            }),
          );
          const answer = (outcome: () => void): void => down.send(() => settle(outcome));
          const serve = (): void => {
            if (health.election) {
              health.election.push(afterElection);
              return;
            }
            if (!health.available) {
              answer(() => reject(new GantryError('unavailable', 'etcd refuses connections')));
              return;
            }
            finish(isWriting && health.ambiguousShare > 0 && world.chance(health.ambiguousShare));
          };
          /** The new leader has it in its log or not; a read is asked again. */
          const afterElection = (): void => {
            if (isWriting) finish(world.chance(0.7));
            else answer(() => reject(new GantryError('unavailable', 'etcd changed its leader')));
          };
          /** Lost is the answer, and of every second one also the call. */
          const finish = (lost: boolean): void => {
            const ambiguous = (): void => reject(new AmbiguousWriteError('etcd changed its leader during a write'));
            if (lost && world.chance(0.5)) {
              answer(ambiguous);
              return;
            }
            perform().then(
              (value) => answer(lost ? ambiguous : () => resolve(value)),
              (error: unknown) => answer(() => reject(error)),
            );
          };
          up.send(() => {
            const delayMs = lateMs + (health.slowMs > 0 ? world.random.next() * health.slowMs : 0);
            if (delayMs > 0) world.after(delayMs, serve);
            else serve();
          });
        }),
    );
  }

  const writerNow = (): Writer => ({
    process,
    operation: servedOperation.getStore(),
    known: servedSince.getStore() ?? process.picture?.revision ?? 0n,
  });

  /** Marks whose write it is while the memory twin applies it, which it does before it returns. */
  function write<T>(perform: () => Promise<T>, writerOf: (key: string) => Writer | undefined, lateMs = 0): Promise<T> {
    return call(
      () => {
        etcd.writerOf = writerOf;
        try {
          return perform();
        } finally {
          etcd.writerOf = () => undefined;
        }
      },
      true,
      lateMs,
    );
  }

  const notes = new WeakMap<Operation, Note>();

  /** As sent, its operations noted; undefined when it is to be forgotten. */
  function noted(transaction: Transaction): Transaction | undefined {
    const writer = writerNow();
    if (plants.forget?.(transaction, writer)) return undefined;
    const lateMs = plants.lateMs?.(transaction, writer) ?? 0;
    const sent = plants.transact?.(transaction, writer) ?? transaction;
    for (const operation of sent.success) notes.set(operation, { writer, lateMs });
    return sent;
  }

  /** Acknowledged and never made. */
  const forgotten = (transaction: Transaction): Promise<TransactionResult> =>
    call(async () => {
      const { revision } = await memory.status();
      const responses = transaction.success.map(() => ({ kind: 'put' as const }));
      return { succeeded: true, revision: revision + 1n, responses };
    }, true);

  function transact(transaction: Transaction): Promise<TransactionResult> {
    const isNoted = transaction.success.length > 0 && transaction.success.every((operation) => notes.has(operation));
    const sent = isNoted ? transaction : noted(transaction);
    if (!sent) return forgotten(transaction);
    if (![...sent.success, ...(sent.failure ?? [])].some(isWrite)) return call(() => memory.transact(sent), false);
    const writers = sent.success.map((operation) => notes.get(operation)!.writer);
    const own = writers[0] ?? writerNow();
    const byKey = new Map(
      sent.success.map((operation, index) => ['key' in operation && operation.key, writers[index]!]),
    );
    const lateMs = Math.max(0, ...sent.success.map((operation) => notes.get(operation)!.lateMs));
    return write(
      () => memory.transact(sent),
      (key) => byKey.get(key) ?? own,
      lateMs,
    );
  }

  const store: Store = {
    async get(key, options) {
      const found = await call(() => memory.get(key, options), false);
      const result: GetResult = plants.misses?.(key) ? { revision: found.revision } : found;
      return plants.asked ? { ...result, revision: plants.asked(result.revision) } : result;
    },
    list: (prefix, options) => call(() => memory.list(prefix, options), false),
    transact,
    watch: (prefix, options) => watch(prefix, options),
    grantLease: (ttlMs) => call(() => memory.grantLease(ttlMs), false),
    keepAliveLease: (id) => call(() => memory.keepAliveLease(id), false),
    revokeLease(id) {
      const writer = writerNow();
      return write(
        () => memory.revokeLease(id),
        () => writer,
      );
    },
    compact: (revision) => call(() => memory.compact(revision), false),
    status: () => call(() => memory.status(), false),
    async close() {},
  };
  return {
    store,
    eachWrite: (grouped) =>
      storeWith(grouped, {
        transact(transaction) {
          const sent = noted(transaction);
          return sent ? grouped.transact(sent) : forgotten(transaction);
        },
      }),
  };

  /** Each batch takes its time on the wire, and waits while that is cut; the real client survives that silently. */
  async function* watch(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch, void, undefined> {
    const { signal } = options;
    const ended = new Promise<'ended'>((resolve) => {
      if (signal.aborted) resolve('ended');
      signal.addEventListener('abort', () => resolve('ended'), { once: true });
    });
    const source = memory.watch(prefix, options)[Symbol.asyncIterator]();
    await process.effect(async () => {});
    for (;;) {
      const next = source.next().then((result) => arrival(result));
      next.catch(() => {});
      const result = await Promise.race([next, ended]);
      if (result === 'ended' || result.done) return;
      const batch = plants.watchBatch ? plants.watchBatch(result.value, prefix) : result.value;
      if (batch) yield batch;
    }
  }

  function arrival<T>(value: T): Promise<T> {
    return new Promise((resolve) => down.send(() => process.post(() => resolve(value))));
  }
}
