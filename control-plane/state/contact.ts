/** What is known of the store from its answers alone: what they have shown to anybody, and how lately it was asked. */
import type { Clock } from '../../lib/clock.ts';
import type { Operation, Store, Transaction, TransactionResult } from '../../lib/store/store.ts';
import { storeWith } from '../../lib/store/store-with.ts';

/** What a read is about: one key, or all keys that begin with `/gantry/<plural>/`. Absent: everything. */
export type Scope = { readonly key: string } | { readonly kindPrefix: string };

interface Answer {
  /** When the question was sent; monotonic. */
  readonly askedMs: number;
  readonly revision: bigint;
}

export class Contact {
  /** Newest revision in an answer. */
  #newest = 0n;
  /** Newest revision that a read has shown, of whatever key. */
  #shown = 0n;
  /** Newest acknowledged write, by key and by kind. */
  readonly #written = new Map<string, bigint>();
  readonly #writtenOfKind = new Map<string, bigint>();
  #confirmedMs = Number.NEGATIVE_INFINITY;
  /** Answers that a mirror has not been seen to have come to: one of some time ago, and the newest. */
  #waiting: Answer | undefined;
  #latest: Answer | undefined;

  /** The revision from which on a mirror shows everything that anybody was told about that. */
  needed(scope?: Scope): bigint {
    if (!scope) return this.#newest;
    const written = 'key' in scope ? this.#written.get(scope.key) : this.#writtenOfKind.get(scope.kindPrefix);
    return written !== undefined && written > this.#shown ? written : this.#shown;
  }

  /** When the newest question was sent whose answer is no newer than what a mirror at this revision shows. */
  confirmedMs(mirrored: bigint): number {
    for (const answer of [this.#waiting, this.#latest]) {
      if (answer && answer.revision <= mirrored) this.#confirmedMs = Math.max(this.#confirmedMs, answer.askedMs);
    }
    if (this.#waiting && this.#waiting.revision <= mirrored) this.#waiting = this.#latest;
    this.#forgetBefore(mirrored);
    return this.#confirmedMs;
  }

  /** `known` was all that was needed when it was asked: an answer older than that is of a store that was set back to a copy. */
  answered(answer: Answer, known: bigint): void {
    if (answer.revision < known) {
      this.#newest = answer.revision;
      this.#shown = answer.revision;
      this.#written.clear();
      this.#writtenOfKind.clear();
      this.#waiting = undefined;
    } else if (answer.revision > this.#newest) {
      this.#newest = answer.revision;
    }
    this.#latest = answer;
    this.#waiting ??= answer;
  }

  showed(revision: bigint): void {
    if (revision > this.#shown) this.#shown = revision;
    if (revision > this.#newest) this.#newest = revision;
  }

  wrote(operations: readonly Operation[], revision: bigint): void {
    for (const operation of operations) {
      if (operation.kind === 'put' || operation.kind === 'delete') {
        const { key } = operation;
        if ((this.#written.get(key) ?? 0n) < revision) this.#written.set(key, revision);
        const kindPrefix = kindPrefixOf(key);
        if ((this.#writtenOfKind.get(kindPrefix) ?? 0n) < revision) this.#writtenOfKind.set(kindPrefix, revision);
      } else {
        this.showed(revision); // a whole prefix deleted, or something read
      }
    }
  }

  /** What the mirror shows need not be remembered. */
  #forgetBefore(mirrored: bigint): void {
    if (this.#written.size < mostRemembered) return;
    for (const [key, revision] of this.#written) if (revision <= mirrored) this.#written.delete(key);
  }
}

const mostRemembered = 1_000;

/** `/gantry/pods/default/web-1` -> `/gantry/pods/` */
function kindPrefixOf(key: string): string {
  return key.slice(0, key.indexOf('/', key.indexOf('/', 1) + 1) + 1);
}

/** The same store; the contact goes along with its answers. */
export function withContact(store: Store, clock: Clock): { readonly store: Store; readonly contact: Contact } {
  const contact = new Contact();
  const noting = async <T extends { readonly revision: bigint }>(ask: () => Promise<T>): Promise<T> => {
    const askedMs = clock.monotonicMs();
    const known = contact.needed();
    const answer = await ask();
    contact.answered({ askedMs, revision: answer.revision }, known);
    return answer;
  };
  const reading = async <T extends { readonly revision: bigint }>(ask: () => Promise<T>): Promise<T> => {
    const answer = await noting(ask);
    contact.showed(answer.revision);
    return answer;
  };
  const noted = storeWith(store, {
    // Of the past: says nothing of the present.
    get: (key, options) => (options?.revision ? store.get(key, options) : reading(() => store.get(key))),
    list: (prefix, options) =>
      options?.revision ? store.list(prefix, options) : reading(() => store.list(prefix, options)),
    async transact(transaction) {
      const result = await noting(() => store.transact(transaction));
      contact.wrote(whatRan(transaction, result), result.revision);
      return result;
    },
    async *watch(prefix, options) {
      for await (const batch of store.watch(prefix, options)) {
        if (batch.kind === 'events') contact.showed(batch.revision);
        yield batch;
      }
    },
  });
  return { store: noted, contact };
}

function whatRan({ success, failure = [] }: Transaction, { succeeded }: TransactionResult): readonly Operation[] {
  return succeeded ? success : failure;
}
