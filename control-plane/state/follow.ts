/** Keeps a ClusterState equal to the store's /gantry/ prefix. */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { storeRoot } from '../../lib/model/keys.ts';
import { mirror } from '../../lib/store/mirror.ts';
import type { KeyValue, Store, WatchEvent } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type ClusterState, MutableClusterState, type StateUpdate } from './cluster-state.ts';
import { KnownValue } from './known-value.ts';
import type { ObjectCodec } from './object-codec.ts';
import { RecentEvents } from './recent-events.ts';

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
  /** What has come last, for watchers. */
  readonly recent: RecentEvents;
}

/** Returns at once; `whenSynced` tells when the first complete picture is there. */
export function followStore(options: FollowOptions): FollowedState {
  const { store, clock, log, signal } = options;
  const state = new MutableClusterState();
  const recent = new RecentEvents();
  const read = (kv: KeyValue): StateUpdate => readUpdate(kv, options);
  const finished = mirror(store, storeRoot, {
    clock,
    log,
    signal,
    forgetValues: true,
    onSnapshot(items, revision) {
      state.replace(items.map(read), revision);
      recent.reset(revision);
    },
    onEvents(events, revision, { exact }) {
      const updates = events.map((event) => (event.type === 'put' ? read(event.kv) : { key: event.key }));
      const whole = exact ? withPrevious(events, updates, state, options.codec) : undefined;
      state.apply(updates, revision);
      if (whole) recent.append(whole, revision, clock.monotonicMs());
      else recent.reset(revision);
    },
  });
  return Object.assign(state, { finished, recent });
}

/** Events of objects, with the objects instead of their bytes, which nobody keeps. `state` shows what was before all. */
function withPrevious(
  events: readonly WatchEvent[],
  updates: readonly StateUpdate[],
  state: ClusterState,
  codec: ObjectCodec,
): WatchEvent[] {
  const newest = new Map<string, KubeObject | undefined>();
  return events.flatMap((event, index) => {
    const { key, object, other } = updates[index]!;
    if (other) return [];
    const before = newest.has(key) ? newest.get(key) : state.byKey(key);
    newest.set(key, object);
    const { modRevision } = event;
    const previous = event.previous && before && new KnownValue(event.previous, before, codec);
    if (event.type === 'delete') {
      if (!before && state.other(key)) return [];
      return previous ? { type: 'delete', key, previous, modRevision } : { type: 'delete', key, modRevision };
    }
    const kv = object ? new KnownValue(event.kv, object, codec, event.kv.value.length) : event.kv;
    return previous ? { type: 'put', key, kv, previous, modRevision } : { type: 'put', key, kv, modRevision };
  });
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
