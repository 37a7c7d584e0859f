/**
 * Small transactions of many writers, sent to the store several at a time: while one group is on its way, the next one
 * gathers. Under load a write then costs a fraction of a call to the store, of a round of its agreement and of a sync of its
 * disk; a write that comes alone goes at once.
 *
 * Invariants
 * - A transaction of a group means what it means alone: no two of a group touch a key that one of them writes, and when the
 *   comparisons of one fail, so that nothing of the group is written, each is tried by itself.
 * - Transactions of one group that succeed take one revision together. Each is told of it, and of its own responses.
 * - No answer for a group is no answer for each of it.
 * - None waits for the group before longer than `longestWaitMs`.
 */
import type { Clock, Timer } from '../clock.ts';
import { isGantryError } from '../errors.ts';
import { AmbiguousWriteError, type Operation, type Store, type Transaction, type TransactionResult } from './store.ts';
import { storeWith } from './store-with.ts';

const longestWaitMs = 20;
/** Of comparisons and of operations, for each: half of what etcd takes in a transaction unless told otherwise. */
const mostInGroup = 64;
/** etcd refuses requests of more than 1.5 MiB. */
const mostBytes = 512 * 1024;

export function withGroupedWrites(store: Store, clock: Clock): Store {
  const writer = new GroupedWriter(store, clock);
  return storeWith(store, { transact: (transaction) => writer.transact(transaction) });
}

interface Member {
  readonly transaction: Transaction;
  readonly resolve: (result: TransactionResult) => void;
  readonly reject: (error: unknown) => void;
}

class GroupedWriter {
  readonly #store: Store;
  readonly #clock: Clock;
  #gathering = new Group();
  #underWay = 0;
  #timer: Timer | undefined;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    const size = sizeOf(transaction);
    if (!isWrite(transaction) || !fits(size)) return this.#store.transact(transaction);
    if (!fits(sum(size, this.#gathering.size))) this.#send();
    if (this.#gathering.isTouchedBy(transaction)) return this.#store.transact(transaction);
    const { promise, resolve, reject } = Promise.withResolvers<TransactionResult>();
    this.#gathering.add({ transaction, resolve, reject }, size);
    if (this.#underWay === 0) this.#send();
    else this.#timer ??= this.#clock.schedule(longestWaitMs, () => this.#send());
    return promise;
  }

  #send(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { members } = this.#gathering;
    this.#gathering = new Group();
    this.#underWay += 1;
    void this.#carryOut(members).finally(() => {
      this.#underWay -= 1;
      if (this.#underWay === 0 && this.#gathering.members.length > 0) this.#send();
    });
  }

  /** Never rejects. */
  async #carryOut(members: readonly Member[]): Promise<void> {
    if (members.length > 1 && (await this.#together(members))) return;
    await Promise.all(
      members.map(({ transaction, resolve, reject }) => this.#store.transact(transaction).then(resolve, reject)),
    );
  }

  /** Whether each of them has its answer. */
  async #together(members: readonly Member[]): Promise<boolean> {
    const transactions = members.map(({ transaction }) => transaction);
    const compare = transactions.flatMap((transaction) => transaction.compare);
    const success = transactions.flatMap((transaction) => transaction.success);
    let result: TransactionResult;
    try {
      result = await this.#store.transact({ compare, success });
    } catch (error) {
      // Anything else is about what was asked, and one of them may have spoilt it for the others.
      const isUnanswered = error instanceof AmbiguousWriteError || isGantryError(error, 'unavailable');
      if (isUnanswered) for (const { reject } of members) reject(error);
      return isUnanswered;
    }
    if (!result.succeeded) return false;
    let begin = 0;
    for (const { transaction, resolve } of members) {
      const end = begin + transaction.success.length;
      resolve({ ...result, responses: result.responses.slice(begin, end) });
      begin = end;
    }
    return true;
  }
}

class Group {
  readonly members: Member[] = [];
  size: Size = { comparisons: 0, operations: 0, bytes: 0 };
  readonly #compared = new Set<string>();
  readonly #written = new Set<string>();

  /** Whether one of the two writes what the other one writes or compares. */
  isTouchedBy({ compare, success }: Transaction): boolean {
    const written = success.map(keyOf);
    return (
      compare.some(({ key }) => this.#written.has(key)) ||
      written.some((key) => this.#written.has(key) || this.#compared.has(key))
    );
  }

  add(member: Member, size: Size): void {
    const { compare, success } = member.transaction;
    this.members.push(member);
    for (const { key } of compare) this.#compared.add(key);
    for (const operation of success) this.#written.add(keyOf(operation));
    this.size = sum(this.size, size);
  }
}

interface Size {
  readonly comparisons: number;
  readonly operations: number;
  readonly bytes: number;
}

function sizeOf({ compare, success }: Transaction): Size {
  let bytes = 0;
  for (const operation of success) if (operation.kind === 'put') bytes += operation.value.length;
  return { comparisons: compare.length, operations: success.length, bytes };
}

const sum = (one: Size, other: Size): Size => ({
  comparisons: one.comparisons + other.comparisons,
  operations: one.operations + other.operations,
  bytes: one.bytes + other.bytes,
});

const fits = ({ comparisons, operations, bytes }: Size): boolean =>
  comparisons <= mostInGroup && operations <= mostInGroup && bytes <= mostBytes;

/** Of single keys, and nothing else. */
const isWrite = ({ success }: Transaction): boolean =>
  success.length > 0 && success.every(({ kind }) => kind === 'put' || kind === 'delete');

const keyOf = (operation: Operation): string => (operation as Extract<Operation, { key: string }>).key;
