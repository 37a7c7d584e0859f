/** Settles a write whose answer was lost, by reading back. */
import type { Clock } from '../clock.ts';
import { GantryError } from '../errors.ts';
import {
  AmbiguousWriteError,
  type KeyValue,
  type Operation,
  type Store,
  type Transaction,
  type TransactionResult,
} from './store.ts';

type Put = Extract<Operation, { kind: 'put' }>;

export interface TransactOnceOptions {
  readonly clock: Clock;
  /** How long reading back and repeating may go on. Default 15,000 ms. */
  readonly timeoutMs?: number;
}

const retryMs = 200;

/**
 * As `transact`, for transactions whose puts tell their writer (a uid, an identity, a lease) and whose success changes
 * what they compare. The latter makes repeating safe: were an earlier attempt to land after all, the comparison of the
 * later one fails, and reading back finds the earlier.
 *
 * After an answer is lost the puts are read back. All there, from one revision: it landed. Otherwise it is repeated.
 * When another writer has overwritten a put since, the result is `succeeded: false`, as for any lost race.
 * The `responses` of a recognised transaction are those of puts only. Still unknown at the end: AmbiguousWriteError.
 */
export async function transactOnce(
  store: Store,
  transaction: Transaction,
  options: TransactOnceOptions,
): Promise<TransactionResult> {
  const puts = transaction.success.filter((operation): operation is Put => operation.kind === 'put');
  const { clock } = options;
  const deadlineMs = clock.monotonicMs() + (options.timeoutMs ?? 15_000);
  let ambiguity: AmbiguousWriteError | undefined;
  for (;;) {
    try {
      const result = await store.transact(transaction);
      if (result.succeeded || !ambiguity) return result;
      return (await readBack(store, puts)) ?? result;
    } catch (error) {
      if (error instanceof AmbiguousWriteError) ambiguity = error;
      // Before any ambiguity the caller may as well decide itself; nothing of ours is in flight.
      const transient = error instanceof GantryError && error.code === 'unavailable';
      if (!ambiguity || !transient) throw error;
      if (puts.length === 0 || clock.monotonicMs() >= deadlineMs) throw ambiguity;
    }
    await clock.sleep(retryMs);
  }
}

/** The result of the transaction if its puts are in the store as it would have left them. */
async function readBack(store: Store, puts: readonly Put[]): Promise<TransactionResult | undefined> {
  const { responses } = await store.transact({ compare: [], success: puts.map(({ key }) => ({ kind: 'get', key })) });
  const found = responses.map((response) => (response.kind === 'get' ? response.kv : undefined));
  const revision = found[0]?.modRevision;
  if (revision === undefined || !puts.every((put, index) => isOurs(put, found[index], revision))) return undefined;
  return { succeeded: true, revision, responses: puts.map(() => ({ kind: 'put' })) };
}

function isOurs(put: Put, found: KeyValue | undefined, revision: bigint): boolean {
  return (
    found !== undefined &&
    found.modRevision === revision &&
    found.lease === (put.lease ?? '') &&
    Buffer.compare(found.value, put.value) === 0
  );
}
