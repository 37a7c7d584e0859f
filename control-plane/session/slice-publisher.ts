/**
 * Tells the open sessions what changed for them: a pod or a piece of configuration those nodes that use it, what every node
 * sees all of them. News for everybody is gathered, so that telling thousands takes only a part of our time.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import { ConfigurationUsers } from './configuration-users.ts';
import type { SessionStream } from './session-stream.ts';
import { SharedSlice } from './shared-slice.ts';

/** What is news to every node is gathered for this long for each session. */
const gatherMsPerSession = 0.2;
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

  constructor(state: ClusterState, clock: Clock, streams: ReadonlyMap<string, SessionStream>) {
    this.#state = state;
    this.#clock = clock;
    this.#streams = streams;
    this.shared = new SharedSlice(state);
    this.#users = new ConfigurationUsers(state);
  }

  apply(changes: readonly ObjectChange[]): void {
    for (const change of changes) {
      if ((change.object ?? change.previous)!.kind !== 'Pod') continue;
      this.#users.apply(change);
      for (const node of nodesOf(change)) this.#streams.get(node)?.touch(change.key);
    }
    for (const { key } of changes) for (const node of this.#users.of(key)) this.#streams.get(node)?.touch(key);
    if (this.shared.apply(changes)) this.#publishSoon();
  }

  stop(): void {
    this.#publishing?.cancel();
  }

  #publishSoon(): void {
    if (this.#publishing) return;
    const gatherMs = this.#streams.size < manySessions ? 0 : this.#streams.size * gatherMsPerSession;
    const waitMs = this.#publishedMs + gatherMs - this.#clock.monotonicMs();
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
