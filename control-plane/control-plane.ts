/**
 * One replica of the control plane, put together from its parts and given its edges (store, clock, chance, servers) from
 * outside, so that a simulation runs the same one.
 *
 * Every replica serves the API and DNS from its own mirror of the store; the one that leads also schedules, reconciles
 * and holds the node sessions. The store may come and go: everything here waits, tries again, and carries on.
 */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { caHashOf } from '../lib/pki/certificate-facts.ts';
import type { Authority } from '../lib/pki/certificates.ts';
import type { Random } from '../lib/random.ts';
import { connect } from '../lib/rpc/client.ts';
import { serving } from '../lib/rpc/health.ts';
import type { Handlers } from '../lib/rpc/serve-call.ts';
import type { ReloadableTls } from '../lib/rpc/tls.ts';
import type { EtcdMembers } from '../lib/store/etcd-members.ts';
import { withGroupedWrites } from '../lib/store/grouped-writes.ts';
import { type Campaign, campaign, type Leadership } from '../lib/store/leader.ts';
import type { Compare, Store } from '../lib/store/store.ts';
import { admitApplied } from './api/admission.ts';
import { ensureDefaults } from './api/bootstrap.ts';
import { createClusterService } from './api/cluster-service.ts';
import { createOverlaps } from './api/overlaps.ts';
import { createEventRecorder, type EventRecorder } from './events/recorder.ts';
import { formatLeader, type LeaderIdentity, leaderKey, parseLeader } from './leader/identity.ts';
import { serveTerm } from './leader/term.ts';
import { membershipHandlers } from './membership.ts';
import { schedulingHandlers } from './scheduler/handlers.ts';
import type { StrategyName } from './scheduler/strategies.ts';
import { bootstrapHandlers, renewHandler } from './session/bootstrap.ts';
import { createNodeSessions, type NodeSessions } from './session/node-sessions.ts';
import { proxyHandlers } from './session/proxy.ts';
import { tokenHandlers } from './session/token-handlers.ts';
import { createJoinTokens } from './session/tokens.ts';
import { enterAsReplica, soleReplica, trustedMs } from './sole-replica.ts';
import type { ClusterState } from './state/cluster-state.ts';
import { withContact } from './state/contact.ts';
import { type FollowedState, followStore } from './state/follow.ts';
import type { ObjectCodec } from './state/object-codec.ts';
import { withRecentEvents } from './state/recent-events.ts';
import { type Alone, type UpToDate, upToDateState } from './state/up-to-date.ts';

export interface ControlPlaneConfig {
  readonly name: string;
  /** host:port at which the others reach this replica's API. */
  readonly address: string;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly dnsIP: string;
  readonly zone: string;
  readonly defaultScheduler: StrategyName;
  readonly nodeLeaseMs: number;
  readonly nodeHeartbeatMs: number;
  /** How long the others wait after this one vanished as leader. */
  readonly leaderLeaseMs: number;
  /** Pods a ReplicaSet makes or deletes in one transaction. */
  readonly podsPerTransaction: number;
  readonly version: string;
}

export interface ControlPlaneParts {
  readonly store: Store;
  /** Around what makes one transaction of several writes of the API: the simulation notes whose each of them is. */
  readonly eachWrite?: (store: Store) => Store;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly authority: Authority;
  /** This replica's identity towards agents. */
  readonly tls: ReloadableTls;
  /** Of the cluster's own etcd. */
  readonly etcdMembers?: EtcdMembers;
  /** Resolves when what had reached this machine before has been given to the handlers of `api`. */
  readonly drainInbox?: () => Promise<void>;
  /** With every term of this replica's, and the signal of its end. */
  readonly onTerm?: (signal: AbortSignal) => void;
  readonly resolve?: (state: ClusterState) => Handlers<'Cluster'>['Resolve'];
}

export interface ControlPlane {
  readonly state: ClusterState;
  /** For the API port, mutual TLS. */
  readonly api: { readonly Cluster: Handlers<'Cluster'>; readonly NodeSession: Handlers<'NodeSession'> };
  /** For the join port. */
  readonly join: { readonly Bootstrap: Handlers<'Bootstrap'> };
  /** Stands for election, again and again until stopped. Call it when the API is being served. */
  lead(): void;
  /** Rejects with a programmer's mistake; otherwise resolves after `stop`. */
  readonly finished: Promise<void>;
  /** Gives leadership away and ends everything, except the store. */
  stop(): Promise<void>;
}

const retryMs = 500;
/** Nobody waits for the lease of a replica that is alone: it only has to outlast the moments in which it is too busy. */
const soleLeaseFactor = 5;

/** Resolves when the store has been read once; rejects when `signal` is aborted before. */
export async function startControlPlane(
  given: ControlPlaneParts,
  config: ControlPlaneConfig,
  signal: AbortSignal,
): Promise<ControlPlane> {
  const { store, contact } = withContact(given.store, given.clock);
  const parts = { ...given, store };
  const { codec, clock, random, log } = parts;
  const ending = new AbortController();
  const over = AbortSignal.any([signal, ending.signal]);
  await untilDone(() => ensureDefaults({ store, codec, clock, random }), 'write the defaults', parts, over);
  const state = followStore({ store, codec, clock, log, signal: over });
  await state.whenSynced(over);
  await untilDone(
    () => enterAsReplica(config.name, { store, clock, log, signal: over }),
    'say that it is here',
    parts,
    over,
  );
  const alone = { contact, isSole: soleReplica(config.name, state), trustedMs };

  const leader = (): LeaderIdentity | undefined => {
    const entry = state.other(leaderKey);
    return entry && parseLeader(new TextDecoder().decode(entry.value));
  };
  const newest: { fence?: Compare } = {};
  const events = createEventRecorder({ store, clock, random, log, fence: () => newest.fence });
  const upToDate = upToDateState({ store, state, clock, alone });
  const { isSole } = alone;
  const sessions = createSessions(parts, config, { state, events, leader, upToDate, isSole });
  const failed = Promise.withResolvers<void>();
  let standing: Campaign | undefined;

  return {
    state,
    ...servicesOf(parts, config, { state, sessions, leader, upToDate }),
    lead() {
      const onElected = ({ fence, signal: term }: Leadership): void => {
        newest.fence = fence;
        parts.onTerm?.(term);
      };
      const { reject: fail } = failed;
      standing = stand(parts, config, { state, events, sessions, signal: over, fail, onElected, isSole });
      standing.finished.then(() => failed.resolve(), failed.reject);
    },
    finished: Promise.race([failed.promise, state.finished]),
    async stop() {
      await events.flush();
      await standing?.resign();
      ending.abort(new Error('the control plane is stopping'));
      failed.resolve();
      await state.finished;
    },
  };
}

interface Replica {
  readonly state: FollowedState;
  readonly events: EventRecorder;
  readonly sessions: NodeSessions;
  readonly leader: () => LeaderIdentity | undefined;
  readonly upToDate: UpToDate;
}

interface Standing {
  readonly signal: AbortSignal;
  readonly isSole: () => boolean;
  /** Before the term does anything. */
  readonly onElected: (leadership: Leadership) => void;
  /** A term ended in a programmer's mistake. */
  readonly fail: (error: unknown) => void;
}

function createSessions(
  { store, codec, clock, random, log, drainInbox }: ControlPlaneParts,
  config: ControlPlaneConfig,
  { state, events, leader, upToDate, isSole }: Omit<Replica, 'sessions'> & Pick<Alone, 'isSole'>,
): NodeSessions {
  const { nodeHeartbeatMs: heartbeatMs, nodeLeaseMs: leaseMs, clusterCIDR, serviceCIDR, dnsIP, zone } = config;
  return createNodeSessions({
    store,
    codec,
    state,
    events,
    upToDate,
    clock,
    random,
    log: log.child({ component: 'sessions' }),
    config: { heartbeatMs, leaseMs, clusterCIDR, serviceCIDR, dnsIP, zone },
    leaderAddress: () => leader()?.address,
    isSole,
    ...(drainInbox && { drainInbox }),
  });
}

function servicesOf(
  parts: ControlPlaneParts,
  config: ControlPlaneConfig,
  { state, sessions, leader, upToDate }: Omit<Replica, 'events'>,
): Pick<ControlPlane, 'api' | 'join'> {
  const { store, codec, clock, random, log, authority, tls } = parts;
  const { clusterCIDR, serviceCIDR, dnsIP, zone, version, defaultScheduler } = config;
  const grouped = withGroupedWrites(store, clock);
  const tokens = createJoinTokens({ store, caHash: caHashOf(authority.certPem), clock, random });
  const proxy = proxyHandlers({ snapshot: state, tls });
  const joining = { store, codec, clock, random, clusterCIDR, authority, tokens, log };
  const Cluster = createClusterService({
    store: withRecentEvents(parts.eachWrite?.(grouped) ?? grouped, state.recent),
    codec,
    upToDate,
    clock,
    random,
    log: log.child({ component: 'api' }),
    config: { clusterCIDR, serviceCIDR, dnsIP, zone, version, defaultScheduler },
    leader: () => leader()?.name,
    logsAndExec: proxy,
    stats: proxy,
    tokens: tokenHandlers(tokens),
    scheduling: schedulingHandlers({
      state,
      defaultStrategy: defaultScheduler,
      admit: (given, live) => admitApplied(given, live, random, clock.nowMs()),
      nowMs: () => clock.nowMs(),
    }),
    membership: membershipHandlers({
      ...{ state, store, clock, log },
      ...(parts.etcdMembers && { members: parts.etcdMembers }),
      leader: () => leader()?.name,
      isServing: (address) => isServing(address, tls),
    }),
    overlaps: createOverlaps(state),
    ...(parts.resolve && { resolve: parts.resolve(state) }),
  });
  return {
    api: {
      Cluster,
      NodeSession: { Session: sessions.session, Heartbeats: sessions.heartbeats, Renew: renewHandler(joining) },
    },
    join: { Bootstrap: bootstrapHandlers(joining) },
  };
}

const answerWithinMs = 1500;

/** The standard health service is open to everybody who holds a certificate of the cluster. */
async function isServing(address: string, tls: ReloadableTls): Promise<boolean> {
  const connection = connect({ address, tls });
  try {
    const { status } = await connection.client('Health').Check({}, { deadlineMs: answerWithinMs });
    return status === serving;
  } catch {
    return false;
  } finally {
    connection.close();
  }
}

function stand(
  parts: ControlPlaneParts,
  { name, address, leaderLeaseMs, defaultScheduler, podsPerTransaction }: ControlPlaneConfig,
  { state, events, sessions, signal, fail, ...standing }: Omit<Replica, 'leader' | 'upToDate'> & Standing,
): Campaign {
  const { store, codec, clock, random, log } = parts;
  let term: Promise<void> = Promise.resolve();
  return campaign(store, {
    key: leaderKey,
    identity: formatLeader({ name, address }),
    ttlMs: () => (standing.isSole() ? leaderLeaseMs * soleLeaseFactor : leaderLeaseMs),
    clock,
    signal,
    log: log.child({ component: 'election' }),
    // The API's port is ours by now, so that nothing else can run under this identity.
    replaceOwn: true,
    onElected(leadership) {
      standing.onElected(leadership);
      const common = { store, codec, state, events, sessions, clock, random, log };
      term = serveTerm(leadership, { ...common, defaultScheduler, podsPerTransaction });
      term.catch(fail);
    },
    onLost: () => term,
  });
}

/** Again and again until it works: the store may still be starting. */
async function untilDone(
  attempt: () => Promise<void>,
  what: string,
  { clock, log }: ControlPlaneParts,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      log.warn({ cause: messageOf(error) }, `cannot ${what}; trying again`);
      await clock.sleep(retryMs, signal);
    }
  }
}
