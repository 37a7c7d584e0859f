/**
 * Replicas tell one another, and through admin.conf the clients, where they are: each keeps its own key
 * /gantry/control-planes/<name> in the store, whose value is the host:port of its API.
 */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { storeRoot } from '../lib/model/keys.ts';
import { putOf, type Store } from '../lib/store/store.ts';
import type { ClusterState } from './state/cluster-state.ts';

const prefix = `${storeRoot}control-planes/`;
const retryMs = 1000;

export interface Replica {
  readonly name: string;
  /** host:port of its API. */
  readonly address: string;
}

interface AnnounceParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Writes our own key unless it says so already; again and again until it does. */
export async function announce(
  { name, address }: Replica,
  { store, clock, log, signal }: AnnounceParts,
): Promise<void> {
  const key = prefix + name;
  while (!signal.aborted) {
    try {
      const { kv } = await store.get(key);
      if (kv && new TextDecoder().decode(kv.value) === address) return;
      await store.transact({ compare: [], success: [putOf(key, new TextEncoder().encode(address))] });
      return;
    } catch (error) {
      log.warn({ cause: messageOf(error) }, 'cannot tell the other control planes where this one is; trying again');
      await clock.sleep(retryMs, signal).catch(() => {});
    }
  }
}

export const replicaKey = (name: string): string => prefix + name;
export const isReplicaKey = (key: string): boolean => key.startsWith(prefix);

/** Names, as the store has them. */
export async function replicasIn(store: Store): Promise<string[]> {
  const { items } = await store.list(prefix, { keysOnly: true });
  return items.map(({ key }) => key.slice(prefix.length));
}

/** By name. */
export function replicasOf(state: ClusterState): Replica[] {
  const entries = [...state.others(prefix)].sort((a, b) => (a.key < b.key ? -1 : 1));
  return entries.map(({ key, value }) => ({
    name: key.slice(prefix.length),
    address: new TextDecoder().decode(value),
  }));
}

/** host:port of every replica's API, by name; without the one named. */
export function addressesOf(state: ClusterState, options: { readonly except?: string } = {}): string[] {
  return replicasOf(state).flatMap(({ name, address }) => (name === options.except ? [] : [address]));
}

/** Calls back when our own key, which was there, is gone: somebody has removed this replica for good. */
export function onRemoved(state: ClusterState, name: string, callback: () => void): void {
  state.onOtherChange((changes) => {
    if (changes.some(({ key, entry, previous }) => key === prefix + name && previous && !entry)) callback();
  });
}

/** Calls back when a replica came, moved or went. Returns its cancel. */
export function onReplicasChange(state: ClusterState, callback: () => void): () => void {
  return state.onOtherChange((changes) => {
    if (changes.some(({ key }) => isReplicaKey(key))) callback();
  });
}
