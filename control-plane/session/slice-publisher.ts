/**
 * Tells the open sessions what changed for them: a pod or a piece of configuration those nodes that use it, what every node
 * sees all of them. News for everybody is gathered, so that telling thousands takes only a part of our time.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import { ConfigurationUsers } from './configuration-users.ts';
import type { SessionStream } from './session-stream.ts';
import type { News, SharedSlice } from './shared-slice.ts';

/**
 * What is news to every node is gathered for this long for each session: telling one takes us and its agent a tenth of a
 * millisecond each. Of nodes that come and go there is news all the time while a large cluster starts.
 */
const gathering = {
  urgent: { msPerSession: 0.4, longestMs: 2_000 },
  nodes: { msPerSession: 2, longestMs: 5_000 },
};
/** Below this many nobody waits. */
const manySessions = 100;
/** Sessions told in one go before others may run. */
const toldInOneGo = 100;

export class SlicePublisher {
  /** What all nodes see, for sessions to read from. */
  readonly shared: SharedSlice;
  readonly #users: ConfigurationUsers;
  readonly #state: ClusterState;
  readonly #clock: Clock;
  /** By node; the term opens and closes them. */
  readonly #streams: ReadonlyMap<string, SessionStream>;
  #publishedMs = Number.NEGATIVE_INFINITY;
  #publishing: Timer | undefined;
  #dueMs = 0;

  constructor(shared: SharedSlice, state: ClusterState, clock: Clock, streams: ReadonlyMap<string, SessionStream>) {
    this.#state = state;
    this.#clock = clock;
    this.#streams = streams;
    this.shared = shared;
    this.#users = new ConfigurationUsers(state);
  }

  apply(changes: readonly ObjectChange[]): void {
    for (const change of changes) {
      if ((change.object ?? change.previous)!.kind !== 'Pod') continue;
      this.#users.apply(change);
      for (const node of nodesOf(change)) this.#streams.get(node)?.touch(change.key);
    }
    for (const { key } of changes) for (const node of this.#users.of(key)) this.#streams.get(node)?.touch(key);
    const news = this.shared.apply(changes);
    if (news !== 'none') this.#publishSoon(news);
  }

  stop(): void {
    this.#publishing?.cancel();
  }

  #publishSoon(news: Exclude<News, 'none'>): void {
    const { msPerSession, longestMs } = gathering[news];
    const sessions = this.#streams.size;
    const gatherMs = sessions < manySessions ? 0 : Math.min(longestMs, sessions * msPerSession);
    const dueMs = this.#publishedMs + gatherMs;
    if (this.#publishing && this.#dueMs <= dueMs) return;
    this.#publishing?.cancel();
    this.#dueMs = dueMs;
    const waitMs = dueMs - this.#clock.monotonicMs();
    if (waitMs <= 0) this.#publish();
    else this.#publishing = this.#clock.schedule(waitMs, () => this.#publish());
  }

  #publish(): void {
    this.#publishing = undefined;
    this.#publishedMs = this.#clock.monotonicMs();
    this.shared.publish(this.#state.revision);
    this.#wakeAll([...this.#streams.values()]);
  }

  #wakeAll(streams: readonly SessionStream[]): void {
    for (const stream of streams.slice(0, toldInOneGo)) stream.wake();
    if (streams.length > toldInOneGo) this.#clock.schedule(0, () => this.#wakeAll(streams.slice(toldInOneGo)));
  }
}

/** The nodes of a pod: where it is, and where it was. */
function nodesOf({ object, previous }: ObjectChange): Set<string> {
  const names = [object, previous].flatMap((side) => (side?.kind === 'Pod' && side.spec.nodeName) || []);
  return new Set(names);
}
