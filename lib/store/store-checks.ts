/** What both stores refuse before anything is sent or applied, so that they refuse it alike. Pure. */
import { GantryError } from '../errors.ts';
import type { Operation, Transaction } from './store.ts';

const keyPattern = /^[\x21-\x7e]+$/;

/** A key outside printable ASCII is invalidArgument. */
export function checkKey(key: string): void {
  if (!keyPattern.test(key)) {
    throw new GantryError(
      'invalidArgument',
      `${JSON.stringify(key)} is not a store key; use printable ASCII without spaces`,
    );
  }
}

/** As `checkKey`; the empty prefix means every key. */
export function checkPrefix(prefix: string): void {
  if (prefix !== '') checkKey(prefix);
}

/** The revision to read at, 0n for now. */
export function readRevision(options: { readonly revision?: bigint }): bigint {
  const { revision = 0n } = options;
  if (revision < 0n) throw new GantryError('invalidArgument', `${revision} is not a revision; the first is 1`);
  return revision;
}

/** Keys of at most one operation list that would be written twice; etcd refuses such a transaction, and so do we. */
export function duplicateWrite(operations: readonly Operation[]): string | undefined {
  const puts = new Set<string>();
  for (const operation of operations) {
    if (operation.kind !== 'put') continue;
    if (puts.has(operation.key)) return operation.key;
    puts.add(operation.key);
  }
  for (const operation of operations) {
    if (operation.kind === 'delete' && puts.has(operation.key)) return operation.key;
    if (operation.kind !== 'deletePrefix') continue;
    for (const key of puts) if (key.startsWith(operation.prefix)) return key;
  }
  return undefined;
}

/** Refuses what no implementation accepts, before anything is sent. */
export function checkTransaction(transaction: Transaction, maxOperations: number): void {
  const { compare, success, failure = [] } = transaction;
  for (const { key } of compare) checkKey(key);
  if (Math.max(compare.length, success.length, failure.length) > maxOperations) {
    throw new GantryError(
      'invalidArgument',
      `a transaction may hold at most ${maxOperations} comparisons and operations; split it`,
    );
  }
  for (const operations of [success, failure]) {
    for (const operation of operations) {
      if (operation.kind === 'deletePrefix') checkPrefix(operation.prefix);
      else checkKey(operation.key);
    }
    const key = duplicateWrite(operations);
    if (key !== undefined) {
      throw new GantryError('invalidArgument', `a transaction may write a key only once; it writes ${key} twice`);
    }
  }
}

export function isWrite(operation: Operation): boolean {
  return operation.kind !== 'get';
}
