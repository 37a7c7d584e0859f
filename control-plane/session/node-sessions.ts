/**
 * The leader's side of the node sessions: who is in session, who is alive, what each node is told and what it reports.
 *
 * - Only a leader holds sessions. A replica that does not lead ends the stream and names the leader; one that is alone, and so is
 *   about to lead again, lets agents wait for that: refusing thousands, again and again, would put it off.
 * - Leases live in memory; a Node's Ready condition is written only when the verdict changes. A new term gives every
 *   node a full lease and believes the stored conditions until it has heard, or not heard, for itself.
 * - Every write is fenced by the term; every status is acknowledged only when it is durable.
 * - Of two sessions of one node the newer counts, unless the older is alive and comes from another machine.
 */
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { Outgoing } from '../../lib/rpc/outgoing.ts';
import type { CallContext, Handlers } from '../../lib/rpc/serve-call.ts';
import { nodeDeletedTrailer } from '../../lib/rpc/trailers.ts';
import type { Leadership } from '../../lib/store/leader.ts';
import type { Store } from '../../lib/store/store.ts';
import type { SessionDown } from '../../proto/gen/types.ts';
import type { EventRecorder } from '../events/recorder.ts';
import type { UsageOf } from '../metrics/pod-usage.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import type { UpToDate } from '../state/up-to-date.ts';
import { nodeNameOf } from './identity.ts';
import type { NodeLease } from './leases.ts';
import { NodeDeletedError } from './node-deleted.ts';
import { SharedSlice } from './shared-slice.ts';
import { Term } from './term.ts';
import { within } from './within.ts';

export interface SessionConfig {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly dnsIP: string;
  readonly zone: string;
}

export interface NodeSessionsOptions {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly state: ClusterState;
  readonly events: EventRecorder;
  /** The mirror, to read from instead of the store; absent: the store is read. */
  readonly upToDate?: UpToDate;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: SessionConfig;
  /** host:port of the API of whoever leads, as far as is known. */
  readonly leaderAddress: () => string | undefined;
  /** Whether nobody else can lead. */
  readonly isSole?: () => boolean;
  /** Resolves when what had reached this machine before has been taken in. Absent: a few turns of this event loop are enough. */
  readonly drainInbox?: () => Promise<void>;
}

export type Verdict = 'alive' | 'lost';

export interface NodeSessions {
  readonly session: Handlers<'NodeSession'>['Session'];
  readonly heartbeats: Handlers<'NodeSession'>['Heartbeats'];
  /** A term begins; it ends with the leadership's signal. */
  lead(leadership: Leadership): void;
  /** Empty while this replica does not lead. */
  nodeLeases(): ReadonlyMap<string, NodeLease>;
  /** More than 55 % of the nodes vanished together: whoever evicts pods of lost nodes should wait and say so. */
  evictionsPaused(): boolean;
  /** By this leader's own clock, since the end of the lease that it gave; undefined while the node is not lost. */
  lostForMs(nodeName: string): number | undefined;
  /** What the pods of autoscaled workloads use. */
  readonly podUsage: UsageOf;
  /** After the verdict, before it is written to the Node. Returns its cancel. */
  onLeaseChange(callback: (nodeName: string, verdict: Verdict) => void): () => void;
}

export const leaderTrailer = 'gantry-leader';

export function createNodeSessions(options: NodeSessionsOptions): NodeSessions {
  const listeners = new Set<(nodeName: string, verdict: Verdict) => void>();
  let term: Term | undefined;
  const shared = sharedAcrossTerms(options);
  const election = new OwnElection(options.clock);

  const notLeading = (context: CallContext): GantryError => {
    const leader = options.leaderAddress();
    if (leader) context.setTrailer(leaderTrailer, leader);
    const who = leader ? `the leader is ${leader}` : 'no leader is elected yet; try again soon';
    return new GantryError('failedPrecondition', `this control plane holds no node sessions; ${who}`);
  };

  return {
    session(requests, context) {
      const outgoing = new Outgoing<SessionDown>();
      const served = async (): Promise<void> => {
        const nodeName = nodeNameOf(context.peer);
        const signal = AbortSignal.any([context.signal, outgoing.closed]);
        if (!term?.leads && options.isSole?.()) await election.over();
        const current = term;
        if (!current?.leads) throw notLeading(context);
        signal.throwIfAborted();
        try {
          await current.serve(nodeName, requests, outgoing, signal);
        } catch (error) {
          // Only who leads now may say it for certain; it is in the store either way, but then somebody else is to be asked.
          if (error instanceof NodeDeletedError && current.leads) {
            context.setTrailer(nodeDeletedTrailer, error.revision.toString());
          }
          throw current.leads || signal.aborted ? error : notLeading(context);
        }
      };
      served().then(
        () => outgoing.end(),
        (error: unknown) => outgoing.end(error),
      );
      return outgoing;
    },
    async *heartbeats(requests, context) {
      const nodeName = nodeNameOf(context.peer);
      if (!term?.leads) throw notLeading(context);
      yield* term.answerHeartbeats(nodeName, requests);
    },
    lead(leadership) {
      const begun = new Term(leadership, options, shared.begin(), (nodeName, verdict) => {
        for (const listener of [...listeners]) listener(nodeName, verdict);
      });
      term = begun;
      begun.run();
      shared.keepAfter(leadership.signal);
      election.won();
    },
    nodeLeases: () => (term?.leads ? term.leases.all : new Map()),
    lostForMs: (nodeName) => (term?.leads ? term.lostForMs(nodeName) : undefined),
    evictionsPaused: () => term?.leads === true && term.leases.massLoss(options.clock.monotonicMs()),
    podUsage: (podUID, nowMs) => (term?.leads ? term.usage.usages.of(podUID, nowMs) : undefined),
    onLeaseChange(callback) {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
  };
}

/** Agents wait longer than that for our welcome when there is nobody else. */
const ownElectionMs = 3_000;
const greetedInOneGo = 100;

/** Agents that wait until this replica leads. */
class OwnElection {
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when this replica leads, or has not led for too long. */
  async over(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await within(promise, ownElectionMs, this.#clock);
    this.#waiting.delete(resolve);
  }

  won(): void {
    this.#greet([...this.#waiting]);
  }

  #greet(waiting: readonly (() => void)[]): void {
    for (const resolve of waiting.slice(0, greetedInOneGo)) resolve();
    if (waiting.length > greetedInOneGo) this.#clock.schedule(0, () => this.#greet(waiting.slice(greetedInOneGo)));
  }
}

interface AcrossTerms {
  /** What the term that begins tells its agents from. */
  begin(): SharedSlice;
  /** Call when the term follows the state itself. */
  keepAfter(term: AbortSignal): void;
}

/** Between two terms of this replica the shared slice goes on, so that agents need not be told everything again. */
function sharedAcrossTerms({ state, random }: NodeSessionsOptions): AcrossTerms {
  let shared: SharedSlice | undefined;
  let unsubscribe: (() => void) | undefined;
  const follow = (): void => {
    unsubscribe ??= state.onChange((changes) => {
      shared!.apply(changes);
      shared!.publish(state.revision);
    });
  };
  return {
    begin() {
      shared ??= new SharedSlice(state, random.uuid());
      unsubscribe?.();
      unsubscribe = undefined;
      return shared;
    },
    keepAfter(term) {
      if (term.aborted) follow();
      else term.addEventListener('abort', follow, { once: true });
    },
  };
}
