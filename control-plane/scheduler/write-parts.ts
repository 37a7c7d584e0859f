/**
 * Many small writes in few transactions. Each part has its own comparisons; those of several parts share a transaction,
 * and several transactions are under way at once, since no part needs another. A transaction that fails is tried in
 * halves, so that one part that has lost its race costs the others little.
 *
 * Parts are taken when there is a transaction for them, so that thousands need not be made in one go.
 *
 * Every transaction compares the leader's term. When that is what failed, nothing is tried again.
 */
import type { Clock } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import { type Compare, getOf, type Operation, type Store, type TransactionResult } from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';

export interface Part<T> {
  readonly of: T;
  /** Must not hold any more once the part is written. */
  readonly compare: readonly Compare[];
  /** Puts that tell their writer. At most two, unless it is written alone. */
  readonly success: readonly Operation[];
}

export interface WriteOptions {
  readonly store: Store;
  readonly fence: Compare;
  readonly clock: Clock;
  /** Parts in one transaction. */
  readonly mostParts: number;
}

export interface Written<T> {
  readonly done: readonly T[];
  /** Lost a comparison even alone (changed, deleted, or the address is taken), or refused by the store as too large. */
  readonly failed: readonly T[];
  /** Newest revision written. */
  readonly revision: bigint;
}

/** etcd takes 1.5 MB unless told otherwise. */
const mostBytes = 1024 * 1024;
/** Under way at once: enough for the next to wait in etcd while one is being synced. */
export const mostTransactions = 4;

export async function writeParts<T>(parts: Iterable<Part<T>>, options: WriteOptions): Promise<Written<T>> {
  const { store, fence, clock } = options;
  const done: T[] = [];
  const failed: T[] = [];
  let revision = 0n;
  let deposed = false;

  const write = async (batch: readonly Part<T>[]): Promise<void> => {
    const result = deposed
      ? undefined
      : await unlessRefused(transactOnce(store, transactionOf(batch, fence), { clock }));
    if (result?.succeeded) {
      for (const part of batch) done.push(part.of);
      if (result.revision > revision) revision = result.revision;
      return;
    }
    if (result && isDeposed(result, fence)) deposed = true;
    if (deposed || batch.length === 1) {
      for (const part of batch) failed.push(part.of);
      return;
    }
    const middle = batch.length >> 1;
    await write(batch.slice(0, middle));
    await write(batch.slice(middle));
  };

  const waiting = batchesOf(parts, options.mostParts);
  const work = async (): Promise<void> => {
    for (const batch of waiting) await write(batch);
  };
  await Promise.all(Array.from({ length: mostTransactions }, work));
  return { done, failed, revision };
}

/** By number and by size; a part larger than any transaction is alone. Several may take turns in taking the next. */
function* batchesOf<T>(parts: Iterable<Part<T>>, mostParts: number): Generator<Part<T>[]> {
  let batch: Part<T>[] = [];
  let bytes = 0;
  for (const part of parts) {
    const size = part.success.reduce((sum, step) => sum + (step.kind === 'put' ? step.value.length : 0), 0);
    if (batch.length > 0 && (batch.length === mostParts || bytes + size > mostBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(part);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function transactionOf<T>(batch: readonly Part<T>[], fence: Compare) {
  return {
    compare: [fence, ...batch.flatMap(({ compare }) => compare)],
    success: batch.flatMap(({ success }) => success),
    failure: [getOf(fence.key)],
  };
}

function isDeposed({ responses }: TransactionResult, fence: Compare): boolean {
  const [held] = responses;
  return held?.kind === 'get' && fence.target === 'create' && (held.kv?.createRevision ?? 0n) !== fence.value;
}

/** Undefined for a transaction that the store will never take, such as one of many large pods. */
async function unlessRefused(written: Promise<TransactionResult>): Promise<TransactionResult | undefined> {
  try {
    return await written;
  } catch (error) {
    if (isGantryError(error, 'invalidArgument')) return undefined;
    throw error;
  }
}
