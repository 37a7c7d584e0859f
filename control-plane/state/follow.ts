/** Keeps a ClusterState equal to the store's /gantry/ prefix. */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { storeRoot } from '../../lib/model/keys.ts';
import { mirror } from '../../lib/store/mirror.ts';
import type { KeyValue, Store } from '../../lib/store/store.ts';
import { type ClusterState, MutableClusterState, type StateUpdate } from './cluster-state.ts';
import type { ObjectCodec } from './object-codec.ts';

export interface FollowOptions {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the following. */
  readonly signal: AbortSignal;
}

export interface FollowedState extends ClusterState {
  /** Resolves when the signal is aborted; rejects when a listener threw (a programmer's mistake). */
  readonly finished: Promise<void>;
}

/** Returns at once; `whenSynced` tells when the first complete picture is there. */
export function followStore(options: FollowOptions): FollowedState {
  const { store, clock, log, signal } = options;
  const state = new MutableClusterState();
  const read = (kv: KeyValue): StateUpdate => readUpdate(kv, options);
  const finished = mirror(store, storeRoot, {
    clock,
    log,
    signal,
    forgetValues: true,
    onSnapshot: (items, revision) => state.replace(items.map(read), revision),
    onEvents: (events, revision) =>
      state.apply(
        events.map((event) => (event.type === 'put' ? read(event.kv) : { key: event.key })),
        revision,
      ),
  });
  return Object.assign(state, { finished });
}

/** Bytes that cannot be read are as good as absent, and said so: one bad key must not blind the whole control plane. */
function readUpdate(kv: KeyValue, { codec, log }: FollowOptions): StateUpdate {
  const { key, value, modRevision } = kv;
  try {
    const object = codec.decode(key, value, modRevision);
    return object ? { key, object } : { key, other: { key, value, modRevision } };
  } catch (error) {
    log.error({ key, error: messageOf(error) }, 'cannot read an object; it is treated as absent until it is rewritten');
    return { key };
  }
}
