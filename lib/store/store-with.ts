/** The same store, but for what is given here. */
import type { Store } from './store.ts';

export function storeWith(store: Store, changed: Partial<Store>): Store {
  return {
    get: (key, options) => store.get(key, options),
    list: (prefix, options) => store.list(prefix, options),
    transact: (transaction) => store.transact(transaction),
    watch: (prefix, options) => store.watch(prefix, options),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    keepAliveLease: (id) => store.keepAliveLease(id),
    revokeLease: (id) => store.revokeLease(id),
    compact: (revision) => store.compact(revision),
    status: () => store.status(),
    ...(store.databases && { databases: () => store.databases!() }),
    close: () => store.close(),
    ...changed,
  };
}
