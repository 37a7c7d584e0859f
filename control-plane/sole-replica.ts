/**
 * Whether this replica is the only one that there has ever been, so that nobody else can have written what it has not
 * heard of: then its own memory of the store's answers tells what a read must show, and the store need not be asked.
 *
 * The key /gantry/sole-control-plane says so: `sole <name>` from the first replica's first start on, until another one
 * comes. That one makes it `changing`, waits until the first must have asked the store again and seen it, makes it
 * `several`, and only then begins to serve. It is `several` ever after: a replica that was removed may not have heard of
 * it, and writes.
 *
 * Invariant: when another replica serves, a replica that has last asked the store more than `trustedMs` ago does not
 * trust its memory, and one that has asked since knows better. It rests on clocks that run at most at twice the rate of
 * one another, by the time that passes, not by what they show.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { storeRoot } from '../lib/model/keys.ts';
import { absent, type Compare, modRevisionIs, putOf, type Store } from '../lib/store/store.ts';
import { isReplicaKey, replicasIn, replicasOf } from './replicas.ts';
import type { ClusterState } from './state/cluster-state.ts';

/** How long after a question to the store its answer still says that no other replica serves. */
export const trustedMs = 2_000;
const waitMs = 2 * trustedMs + 500;

export const soleReplicaKey = `${storeRoot}sole-control-plane`;
const changing = 'changing';
const several = 'several';
const soleOf = (name: string): string => `sole ${name}`;

interface Parts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Before the replica serves anything. Rejects when the store does not answer. */
export async function enterAsReplica(name: string, parts: Parts): Promise<void> {
  const { store, clock, log, signal } = parts;
  const change = async (compare: Compare, value: string): Promise<void> => {
    await store.transact({ compare: [compare], success: [putOf(soleReplicaKey, new TextEncoder().encode(value))] });
  };
  // Whoever lost a race, or had no answer, finds out by reading again.
  for (;;) {
    signal.throwIfAborted();
    const { kv } = await store.get(soleReplicaKey);
    const value = kv && new TextDecoder().decode(kv.value);
    if (value === several || value === soleOf(name)) return;
    if (!kv) {
      // Of a version that did not write this key yet, others may be there already.
      const others = (await replicasIn(store)).filter((other) => other !== name);
      await change(absent(soleReplicaKey), others.length > 0 ? several : soleOf(name));
    } else if (value === changing) {
      log.info({ waitMs }, 'waiting until the other control plane knows that it is not alone any more');
      await clock.sleep(waitMs, signal);
      await change(modRevisionIs(soleReplicaKey, kv.modRevision), several);
    } else {
      await change(modRevisionIs(soleReplicaKey, kv.modRevision), changing);
    }
  }
}

/** As the mirror shows it. */
export function soleReplica(name: string, state: ClusterState): () => boolean {
  const look = (): boolean => {
    const entry = state.other(soleReplicaKey);
    if (!entry || new TextDecoder().decode(entry.value) !== soleOf(name)) return false;
    return replicasOf(state).every((replica) => replica.name === name);
  };
  let isSole = look();
  state.onOtherChange((changes) => {
    if (changes.some(({ key }) => key === soleReplicaKey || isReplicaKey(key))) isSole = look();
  });
  return () => isSole;
}
