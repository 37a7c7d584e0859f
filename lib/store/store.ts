/**
 * The store: a revisioned map from keys to bytes, with transactions, watches and leases. etcd (`etcd.ts`) keeps the
 * cluster's only durable state behind it; `memory.ts` is the twin for tests and simulation. One contract suite,
 * test/contract/store.test.ts, holds the two equal.
 *
 * Invariants
 * - Every transaction that writes takes exactly one revision, the next one; one that writes nothing takes none.
 * - Events are delivered in the order of revisions, and all events of one revision in one batch.
 * - A call ends within its deadline. A *write* that ends without an answer is an AmbiguousWriteError: it may have
 *   landed. Read back (see `transactOnce`) before deciding anything.
 * - Keys are printable ASCII without spaces, so that both implementations sort them alike.
 *
 * Revisions are 64-bit and therefore bigint; lease ids are 64-bit and opaque, therefore decimal strings.
 */
import { GantryError } from '../errors.ts';

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  /** The revision at which the key came into being; a new life of a deleted key has a new one. */
  readonly createRevision: bigint;
  /** The revision that last wrote the key. */
  readonly modRevision: bigint;
  /** How many times this life of the key was written, from 1. */
  readonly version: bigint;
  /** The lease the key dies with, '' when none. */
  readonly lease: string;
}

export type CompareOperator = '=' | '!=' | '<' | '>';

/** A key that does not exist compares as revision 0 and version 0; every comparison of its value is false. */
export type Compare =
  | {
      readonly key: string;
      readonly target: 'mod' | 'create' | 'version';
      readonly operator: CompareOperator;
      readonly value: bigint;
    }
  | {
      readonly key: string;
      readonly target: 'value';
      readonly operator: CompareOperator;
      readonly value: Uint8Array;
    };

export const modRevisionIs = (key: string, revision: bigint): Compare => ({
  key,
  target: 'mod',
  operator: '=',
  value: revision,
});
export const createRevisionIs = (key: string, revision: bigint): Compare => ({
  key,
  target: 'create',
  operator: '=',
  value: revision,
});
export const absent = (key: string): Compare => ({ key, target: 'create', operator: '=', value: 0n });
export const exists = (key: string): Compare => ({ key, target: 'create', operator: '>', value: 0n });

export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease?: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'deletePrefix'; readonly prefix: string }
  | { readonly kind: 'get'; readonly key: string };

/** A put without a lease detaches the key from the lease it had. */
export const putOf = (key: string, value: Uint8Array, lease?: string): Operation => ({
  kind: 'put',
  key,
  value,
  ...(lease !== undefined && lease !== '' && { lease }),
});
export const deleteOf = (key: string): Operation => ({ kind: 'delete', key });
export const deletePrefixOf = (prefix: string): Operation => ({ kind: 'deletePrefix', prefix });
export const getOf = (key: string): Operation => ({ kind: 'get', key });

/**
 * All comparisons hold -> `success`, otherwise `failure` (default: nothing). All operations of one list happen or none.
 * Refused with invalidArgument: a key put twice, or put and deleted, in one list; more comparisons or operations in
 * one list than the store's limit (`maxOperations`).
 */
export interface Transaction {
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure?: readonly Operation[];
}

export type OperationResult =
  | { readonly kind: 'put' }
  | { readonly kind: 'delete'; readonly deleted: number }
  | { readonly kind: 'get'; readonly kv?: KeyValue };

export interface TransactionResult {
  /** Whether the comparisons held. */
  readonly succeeded: boolean;
  /** The revision the transaction took; the store's current one when it wrote nothing. */
  readonly revision: bigint;
  /** One per operation of the list that ran, in its order. */
  readonly responses: readonly OperationResult[];
}

export interface GetResult {
  readonly kv?: KeyValue;
  readonly revision: bigint;
}

export interface ListOptions {
  /** Read as of this revision. Absent or 0n: now. */
  readonly revision?: bigint;
  /** At most this many items; `more` tells whether there are others. Absent or 0: all. */
  readonly limit?: number;
  /** Only keys after this one (the last key of the page before). */
  readonly startAfter?: string;
  /** Leaves every `value` empty. */
  readonly keysOnly?: boolean;
}

export interface ListResult {
  /** Sorted by key. */
  readonly items: readonly KeyValue[];
  /** The revision all items were read at; watch from `revision + 1n`. */
  readonly revision: bigint;
  readonly more: boolean;
}

export type WatchEvent =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly kv: KeyValue;
      /** The key's value before, absent when the key is new or `previous` was not asked for. */
      readonly previous?: KeyValue;
      readonly modRevision: bigint;
    }
  | {
      readonly type: 'delete';
      readonly key: string;
      /** Absent only when compaction has already removed it, or `previous` was not asked for. */
      readonly previous?: KeyValue;
      readonly modRevision: bigint;
    };

export type WatchBatch =
  /** `revision` is that of the last event: a watch resumed from `revision + 1n` misses and repeats nothing. */
  | { readonly kind: 'events'; readonly events: readonly WatchEvent[]; readonly revision: bigint }
  /**
   * History up to `compactRevision` is gone; or the store has been set back to it, and revisions the watch was to begin
   * after are not there. The iteration ends here: list again (see `mirror`).
   */
  | { readonly kind: 'compacted'; readonly compactRevision: bigint };

export interface WatchOptions {
  /** The first revision whose events are wanted; usually a list's `revision + 1n`. At least 1n. */
  readonly fromRevision: bigint;
  /** Ends the iteration without an error. */
  readonly signal: AbortSignal;
  /** Whether events carry what was there before, which the store has to read and to send. Default true. */
  readonly previous?: boolean;
}

export interface Lease {
  readonly id: string;
  /** What the store granted; at least what was asked for, rounded up to its own granularity. */
  readonly ttlMs: number;
}

export interface StoreStatus {
  readonly revision: bigint;
  readonly databaseSizeBytes: number;
  /** A sentence when the store answers but refuses writes (out of space, corrupt); absent when it is well. */
  readonly problem?: string;
}

/** The file in which one member of the store keeps everything. */
export interface Database {
  /** `host:port` of the member. */
  readonly member: string;
  /** The store's own leader. */
  readonly isLeader: boolean;
  readonly sizeBytes: number;
  readonly usedBytes: number;
  /** Makes the file as small as what it holds. The member answers nobody meanwhile. */
  defragment(): Promise<void>;
}

export interface Store {
  get(key: string, options?: { readonly revision?: bigint }): Promise<GetResult>;
  /** Every key that begins with `prefix` ('' for all), read at one revision however many pages that takes. */
  list(prefix: string, options?: ListOptions): Promise<ListResult>;
  transact(transaction: Transaction): Promise<TransactionResult>;
  /**
   * Events of keys that begin with `prefix`. Survives restarts and absence of the store; the consumer's pace is the
   * watch's pace, so a slow consumer costs no memory. Iterate once; leaving the loop ends the watch.
   */
  watch(prefix: string, options: WatchOptions): AsyncIterable<WatchBatch>;
  grantLease(ttlMs: number): Promise<Lease>;
  /** The time to live from now, in ms; notFound when the lease has ended. */
  keepAliveLease(id: string): Promise<number>;
  /** Deletes the lease's keys, in one revision. A lease that has already ended is a success. */
  revokeLease(id: string): Promise<void>;
  /** Forgets history before `revision` (which stays readable). Compacting what is compacted is a success. */
  compact(revision: bigint): Promise<void>;
  /** unavailable when the store does not answer. */
  status(): Promise<StoreStatus>;
  /** Of every member; absent for a store that has no files. Rejects when a member does not answer. */
  databases?(): Promise<readonly Database[]>;
  /** Ends connections; watches in progress end with an error (cancelled). */
  close(): Promise<void>;
}

/** A write without an answer: it may or may not have landed, or may still land. */
export class AmbiguousWriteError extends GantryError {
  readonly ambiguous = true;

  constructor(message: string, options: { cause?: unknown } = {}) {
    super('unavailable', message, options);
    this.name = 'AmbiguousWriteError';
  }
}

/** The revision asked for is no longer kept. List again without a revision. */
export class CompactedError extends GantryError {
  readonly compactRevision: bigint;

  constructor(revision: bigint, compactRevision = 0n) {
    super('outOfRange', `revision ${revision} has been compacted away; list again to get the current state`);
    this.name = 'CompactedError';
    this.compactRevision = compactRevision;
  }
}

export function futureRevisionError(revision: bigint): GantryError {
  return new GantryError('outOfRange', `revision ${revision} does not exist yet; list again without a revision`);
}

export function leaseNotFoundError(id: string): GantryError {
  return new GantryError('notFound', `lease ${id} does not exist or has expired; grant a new one`);
}
