/**
 * The memory twin of etcd: same results, same refusals, deterministic. Leases run on the given clock; watches read
 * straight from the kept history, so they have no queue, and one that falls behind a compaction is told so.
 *
 * For tests and the simulation it can also be away (`setAvailable`) and lose answers (`loseAnswers`).
 */
import type { Clock, Timer } from '../clock.ts';
import { GantryError } from '../errors.ts';
import { NextChange } from '../next-change.ts';
import { History } from './memory-history.ts';
import {
  AmbiguousWriteError,
  deleteOf,
  type GetResult,
  type Lease,
  type ListOptions,
  type ListResult,
  leaseNotFoundError,
  type Operation,
  type Store,
  type StoreStatus,
  type Transaction,
  type TransactionResult,
  type WatchBatch,
  type WatchEvent,
  type WatchOptions,
} from './store.ts';
import { checkKey, checkPrefix, checkTransaction, isWrite, readRevision } from './store-checks.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** Comparisons or operations a transaction may hold. Default 128, as etcd's. */
  readonly maxOperations?: number;
  /** The shortest lease. Default 1,000 ms, as our own etcd's; one with default timings grants 2,000 ms at least. */
  readonly minLeaseTtlMs?: number;
  /** Told of every revision the moment it exists, before anybody else: the simulation's checkers. */
  readonly onApplied?: (events: readonly WatchEvent[], revision: bigint) => void;
}

export interface MemoryStore extends Store {
  /** While away every call is refused with unavailable and watches stand still; leases go on expiring. */
  setAvailable(available: boolean): void;
  /**
   * Away as etcd without a leader: no lease ends meanwhile, and each begins anew with the next leader, which does not
   * know when it was last kept alive.
   */
  setLeaderless(leaderless: boolean): void;
  /** The next `count` writes land, and end as AmbiguousWriteError. */
  loseAnswers(count: number): void;
}

interface LeaseState {
  readonly ttlMs: number;
  readonly keys: Set<string>;
  expiresAtMs: number;
  timer: Timer;
}

/** Revisions with events that one watch batch may carry. */
const batchRevisions = 1000;

export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  return new MemoryStoreState(options);
}

class MemoryStoreState implements MemoryStore {
  readonly #clock: Clock;
  readonly #maxOperations: number;
  readonly #minLeaseTtlMs: number;
  readonly #onApplied: MemoryStoreOptions['onApplied'];
  readonly #history = new History();
  readonly #leases = new Map<string, LeaseState>();
  /** Of anything a watch may be waiting for. */
  readonly #change = new NextChange();
  #lastLease = 0n;
  #available = true;
  #leaderless = false;
  #answersToLose = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.clock;
    this.#maxOperations = options.maxOperations ?? 128;
    this.#minLeaseTtlMs = options.minLeaseTtlMs ?? 1000;
    this.#onApplied = options.onApplied;
  }

  setAvailable(available: boolean): void {
    this.#available = available;
    this.#change.tell();
  }

  setLeaderless(leaderless: boolean): void {
    this.#leaderless = leaderless;
    if (!leaderless)
      for (const lease of this.#leases.values()) lease.expiresAtMs = this.#clock.monotonicMs() + lease.ttlMs;
    this.#change.tell();
  }

  loseAnswers(count: number): void {
    this.#answersToLose = count;
  }

  async get(key: string, options: { readonly revision?: bigint } = {}): Promise<GetResult> {
    checkKey(key);
    this.#checkReachable();
    const revision = readRevision(options) || this.#history.revision;
    this.#history.checkRevision(revision);
    const kv = this.#history.get(key, revision);
    return { ...(kv && { kv }), revision: this.#history.revision };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    checkPrefix(prefix);
    this.#checkReachable();
    const { startAfter = '', keysOnly = false } = options;
    const limit = options.limit || Number.POSITIVE_INFINITY;
    const revision = readRevision(options) || this.#history.revision;
    this.#history.checkRevision(revision);
    const items = [];
    for (const kv of this.#history.range(prefix, startAfter, revision)) {
      if (items.length >= limit) return { items, revision, more: true };
      items.push(keysOnly ? { ...kv, value: new Uint8Array() } : kv);
    }
    return { items, revision, more: false };
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    checkTransaction(transaction, this.#maxOperations);
    this.#checkReachable();
    const succeeded = transaction.compare.every((compare) => this.#history.holds(compare));
    const operations = succeeded ? transaction.success : (transaction.failure ?? []);
    for (const operation of operations) {
      if (operation.kind === 'put' && operation.lease && !this.#leases.has(operation.lease)) {
        throw leaseNotFoundError(operation.lease);
      }
    }
    const result = { succeeded, ...this.#apply(operations) };
    if (this.#answersToLose > 0 && operations.some(isWrite)) {
      this.#answersToLose -= 1;
      throw new AmbiguousWriteError('the answer to a write was lost; read back to learn whether it landed');
    }
    return result;
  }

  async *watch(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch, void, undefined> {
    checkPrefix(prefix);
    const { fromRevision, signal, previous = true } = options;
    if (fromRevision < 1n) throw new GantryError('invalidArgument', 'a watch begins at revision 1 or later');
    if (fromRevision > this.#history.revision + 1n) {
      yield { kind: 'compacted', compactRevision: this.#history.revision };
      return;
    }
    let next = fromRevision > 2n ? fromRevision : 2n; // revision 1 is the empty store and has no events
    while (!signal.aborted) {
      this.#checkOpen();
      const history = this.#history;
      if (!this.#reachable || next > history.revision) {
        await this.#change.wait(signal);
        continue;
      }
      if (next <= history.compactRevision) {
        yield { kind: 'compacted', compactRevision: history.compactRevision };
        return;
      }
      const kept = history.eventsFrom(prefix, next, batchRevisions);
      const events = previous ? kept : kept.map(withoutPrevious);
      const revision = events.at(-1)?.modRevision ?? history.revision;
      next = revision + 1n;
      if (events.length > 0) yield { kind: 'events', events, revision };
    }
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    this.#checkReachable();
    this.#lastLease += 1n;
    const id = this.#lastLease.toString();
    const grantedMs = Math.max(this.#minLeaseTtlMs, Math.ceil(ttlMs / 1000) * 1000);
    const expiresAtMs = this.#clock.monotonicMs() + grantedMs;
    const timer = this.#clock.schedule(grantedMs, () => this.#expire(id));
    this.#leases.set(id, { ttlMs: grantedMs, keys: new Set(), expiresAtMs, timer });
    return { id, ttlMs: grantedMs };
  }

  async keepAliveLease(id: string): Promise<number> {
    this.#checkReachable();
    const lease = this.#leases.get(id);
    if (!lease) throw leaseNotFoundError(id);
    lease.expiresAtMs = this.#clock.monotonicMs() + lease.ttlMs;
    return lease.ttlMs;
  }

  async revokeLease(id: string): Promise<void> {
    this.#checkReachable();
    this.#endLease(id);
  }

  async compact(revision: bigint): Promise<void> {
    this.#checkReachable();
    this.#history.compact(revision);
    this.#change.tell();
  }

  async status(): Promise<StoreStatus> {
    this.#checkReachable();
    return { revision: this.#history.revision, databaseSizeBytes: this.#history.sizeBytes() };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const lease of this.#leases.values()) lease.timer.cancel();
    this.#leases.clear();
    this.#change.tell();
  }

  #apply(operations: readonly Operation[]): Pick<TransactionResult, 'revision' | 'responses'> {
    const { events, revision, responses } = this.#history.apply(operations);
    for (const event of events) {
      if (event.previous) this.#leases.get(event.previous.lease)?.keys.delete(event.key);
      if (event.type === 'put') this.#leases.get(event.kv.lease)?.keys.add(event.key);
    }
    if (events.length > 0) {
      this.#onApplied?.(events, revision);
      this.#change.tell();
    }
    return { revision, responses };
  }

  #expire(id: string): void {
    const lease = this.#leases.get(id);
    if (!lease) return;
    const remainingMs = this.#leaderless ? lease.ttlMs : lease.expiresAtMs - this.#clock.monotonicMs();
    if (remainingMs > 0) lease.timer = this.#clock.schedule(remainingMs, () => this.#expire(id));
    else this.#endLease(id);
  }

  #endLease(id: string): void {
    const lease = this.#leases.get(id);
    if (!lease) return;
    lease.timer.cancel();
    this.#leases.delete(id);
    this.#apply([...lease.keys].sort().map(deleteOf));
  }

  get #reachable(): boolean {
    return this.#available && !this.#leaderless;
  }

  #checkOpen(): void {
    if (this.#closed) throw new GantryError('cancelled', 'the store was closed');
  }

  #checkReachable(): void {
    this.#checkOpen();
    if (!this.#reachable) throw new GantryError('unavailable', 'the store does not answer; try again');
  }
}

function withoutPrevious<E extends WatchEvent>({ previous: _unasked, ...event }: E): WatchEvent {
  return event as WatchEvent;
}
