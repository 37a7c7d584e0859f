/** What is known of the store from its answers alone: which revision it had come to, and how lately. */
import type { Clock } from '../../lib/clock.ts';
import type { Store } from '../../lib/store/store.ts';

export interface Contact {
  /** The newest revision in an answer or a watch: whatever this process has told anybody is in it. */
  readonly revision: bigint;
  /** When the newest question was sent that has been answered (monotonic); what it answered is at most `revision`. */
  readonly askedMs: number;
}

/** The same store; the contact goes along with its answers. */
export function withContact(store: Store, clock: Clock): { readonly store: Store; readonly contact: Contact } {
  const contact = { revision: 0n, askedMs: Number.NEGATIVE_INFINITY };
  const noting = async <T extends { readonly revision: bigint }>(ask: () => Promise<T>): Promise<T> => {
    const askedMs = clock.monotonicMs();
    const known = contact.revision;
    const answer = await ask();
    const { revision } = answer;
    // Older than what was known when it was asked: the store has been set back to a copy of earlier.
    if (revision > contact.revision || revision < known) contact.revision = revision;
    if (askedMs > contact.askedMs) contact.askedMs = askedMs;
    return answer;
  };
  const noted: Store = {
    // Of the past: says nothing of the present.
    get: (key, options) => (options?.revision ? store.get(key, options) : noting(() => store.get(key))),
    list: (prefix, options) =>
      options?.revision ? store.list(prefix, options) : noting(() => store.list(prefix, options)),
    transact: (transaction) => noting(() => store.transact(transaction)),
    async *watch(prefix, options) {
      for await (const batch of store.watch(prefix, options)) {
        if (batch.kind === 'events' && batch.revision > contact.revision) contact.revision = batch.revision;
        yield batch;
      }
    },
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    keepAliveLease: (id) => store.keepAliveLease(id),
    revokeLease: (id) => store.revokeLease(id),
    compact: (revision) => store.compact(revision),
    status: () => store.status(),
    ...(store.databases && { databases: () => store.databases!() }),
    close: () => store.close(),
  };
  return { store: noted, contact };
}
