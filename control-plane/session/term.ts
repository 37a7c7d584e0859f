/** One term of leadership: its leases, its open sessions, and the writes that follow from them. */
import type { Timer } from '../../lib/clock.ts';
import { GantryError, messageOf } from '../../lib/errors.ts';
import { Gate } from '../../lib/gate.ts';
import { conditionStatus, findCondition } from '../../lib/model/conditions.ts';
import { referenceTo } from '../../lib/model/event.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import type { Outgoing } from '../../lib/rpc/outgoing.ts';
import type { Leadership } from '../../lib/store/leader.ts';
import { deleteOf, modRevisionIs } from '../../lib/store/store.ts';
import type {
  Heartbeat,
  Node,
  NodeStatus,
  SessionDown,
  SessionHello,
  SessionUp,
  StatusBatch,
  Welcome,
} from '../../proto/gen/types.ts';
import { leaderKey } from '../leader/identity.ts';
import { UsageCollection } from '../metrics/collection.ts';
import { addressesOf, onReplicasChange } from '../replicas.ts';
import type { ObjectChange } from '../state/cluster-state.ts';
import { Reclamation } from '../storage/reclaim.ts';
import { acceptEvent } from './agent-events.ts';
import { createFencedWriter, type FencedWriter, termIsOver } from './fenced-write.ts';
import { Leases } from './leases.ts';
import { NodeDeletedError, nodeIsGone } from './node-deleted.ts';
import type { NodeSessionsOptions, Verdict } from './node-sessions.ts';
import { createNodeWriter, type NodeWriter } from './node-writer.ts';
import { paceFor } from './pace.ts';
import { PodWriter } from './pod-writer.ts';
import { type SessionHost, SessionStream } from './session-stream.ts';
import type { SharedSlice } from './shared-slice.ts';
import { SlicePublisher } from './slice-publisher.ts';
import { agentStuckAfterMs, type NodeKnowledge } from './status-plan.ts';
import { within } from './within.ts';

const ticksPerLease = 12;
/** Between the suspicion and the verdict: several turns of the event loop, in which what has arrived is taken in. */
const drainInboxMs = 20;
/** A mirror that does not catch up with the store for this long is served as it is. */
const mirrorPatienceMs = 2_000;
const helloPatienceMs = 10_000;
/** Questions to the store. */
const mostAtOnce = 32;

/** What an agent said of its node last. */
interface Report {
  readonly status?: NodeStatus;
  readonly labels?: Readonly<Record<string, string>>;
}

export class Term {
  readonly leases: Leases;
  readonly usage: UsageCollection;
  readonly reclamation: Reclamation;
  readonly #leadership: Leadership;
  readonly #options: NodeSessionsOptions;
  readonly #onVerdict: (nodeName: string, verdict: Verdict) => void;
  readonly #writer: FencedWriter;
  readonly #nodes: NodeWriter;
  readonly #pods: PodWriter;
  readonly #streams = new Map<string, SessionStream>();
  readonly #reports = new Map<string, Report>();
  readonly #slices: SlicePublisher;
  /** Thousands may come back, or be lost, at one moment; the renewal of our own lease must not wait behind all of them. */
  readonly #admissions = new Gate(mostAtOnce);
  readonly #verdicts = new Gate(mostAtOnce);
  /** Agents that beat, and do nothing else. */
  readonly #stuck = new Set<string>();
  #servers: readonly string[] = [];
  #ticker: Timer | undefined;
  #wasPaused = false;
  #isDraining = false;

  constructor(
    leadership: Leadership,
    options: NodeSessionsOptions,
    shared: SharedSlice,
    onVerdict: (nodeName: string, verdict: Verdict) => void,
  ) {
    const { store, codec, state, clock, config, upToDate } = options;
    this.#leadership = leadership;
    this.#options = options;
    this.#onVerdict = onVerdict;
    this.#writer = createFencedWriter(store, leadership, clock);
    this.#pods = new PodWriter(this.#writer, { ...options, snapshot: state });
    this.#nodes = createNodeWriter(this.#writer, {
      store,
      codec,
      snapshot: state,
      clock,
      ...(upToDate && { upToDate }),
      onReadyChange: (node) => this.#announce(node),
    });
    this.usage = new UsageCollection({
      state,
      clock,
      onWanted: (nodeName, wanted) => this.#streams.get(nodeName)?.wantUsage(wanted),
    });
    this.reclamation = new Reclamation({
      state,
      clock,
      log: options.log,
      onWanted: (nodeName, wanted) => this.#streams.get(nodeName)?.removeVolumes(wanted),
      remove: (volume) => {
        const key = keyOf(volume);
        return this.#writer.write([modRevisionIs(key, revisionOf(volume))], [deleteOf(key)]);
      },
    });
    this.#slices = new SlicePublisher(shared, state, clock, this.#streams);
    this.leases = new Leases({ leaseMs: config.leaseMs, tickMs: this.#tickMs, nowMs: clock.monotonicMs() });
  }

  get leads(): boolean {
    return this.#leadership.isHeld();
  }

  get #paceMs(): number {
    return paceFor(this.#streams.size, this.#options.config);
  }

  get #tickMs(): number {
    return Math.max(10, Math.round(this.#options.config.leaseMs / ticksPerLease));
  }

  run(): void {
    const { state, clock } = this.#options;
    const { signal } = this.#leadership;
    for (const node of state.list('Node')) this.leases.grant(node.metadata.name, clock.monotonicMs());
    const unsubscribe = state.onChange((changes) => this.#onChanges(changes));
    this.#servers = addressesOf(state);
    const forgetReplicas = onReplicasChange(state, () => this.#onReplicas());
    const end = (): void => {
      unsubscribe();
      this.usage.stop();
      this.reclamation.stop();
      forgetReplicas();
      this.#ticker?.cancel();
      this.#slices.stop();
      for (const stream of this.#streams.values()) stream.end(termIsOver());
    };
    if (signal.aborted) {
      end();
      return;
    }
    signal.addEventListener('abort', end, { once: true });
    this.#ticker = clock.schedule(this.#tickMs, () => this.#tick());
    this.usage.begin();
    this.reclamation.begin();
  }

  /** Since its lease ended; undefined while it may be heard, or a session of it is open. */
  lostForMs(nodeName: string): number | undefined {
    const lease = this.leases.all.get(nodeName);
    if (!lease || lease.alive || this.#streams.has(nodeName)) return undefined;
    return this.#options.clock.monotonicMs() - lease.expiresAtMs;
  }

  /** Resolves when the session has ended in order. */
  async serve(
    nodeName: string,
    requests: AsyncIterable<SessionUp>,
    outgoing: Outgoing<SessionDown>,
    signal: AbortSignal,
  ): Promise<void> {
    const inbox = requests[Symbol.asyncIterator]();
    const hello = await this.#firstMessage(inbox);
    const stream = this.#open(nodeName, hello, outgoing);
    const onAbort = (): void => stream.end(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      // Hello alone is no sign of life: a node that hears nobody says it again and again. Heartbeats follow our welcome.
      // Only one that is new to this term is believed at once; it may be here before our mirror shows that it exists.
      this.leases.grant(nodeName, this.#options.clock.monotonicMs());
      this.#reports.set(nodeName, reportOf(hello));
      void stream.receive(inbox);
      stream.welcome(await this.#answer(stream, hello, signal));
      if (this.#servers.length > 0) stream.servers(this.#servers);
      const wanted = this.usage.wantedOf(nodeName);
      if (wanted) stream.wantUsage(wanted);
      const removable = this.reclamation.wantedOf(nodeName);
      if (removable) stream.removeVolumes(removable);
      await stream.over;
    } finally {
      signal.removeEventListener('abort', onAbort);
      stream.end();
      if (this.#streams.get(nodeName) === stream) this.#streams.delete(nodeName);
    }
  }

  async *answerHeartbeats(nodeName: string, requests: AsyncIterable<Heartbeat>): AsyncGenerator<Heartbeat> {
    for await (const { sequence = 0, agentSilentMs = 0 } of requests) {
      if (!this.#hearInstead(nodeName, agentSilentMs)) {
        throw new GantryError('failedPrecondition', `node ${nodeName} has no lease here; open a session first`);
      }
      yield { sequence };
    }
  }

  async #firstMessage(inbox: AsyncIterator<SessionUp>): Promise<SessionHello> {
    const next = await within(inbox.next(), helloPatienceMs, this.#options.clock);
    const hello = next?.done === false ? next.value.hello : undefined;
    if (hello) return hello;
    throw new GantryError('invalidArgument', 'a session begins with hello');
  }

  /** The stream of this node from now on; another one of it ends. */
  #open(nodeName: string, hello: SessionHello, outgoing: Outgoing<SessionDown>): SessionStream {
    const host: SessionHost = {
      snapshot: this.#options.state,
      shared: this.#slices.shared,
      heard: (name) => this.#hear(name),
      paceMs: () => this.#paceMs,
      writeStatus: (name, batch) => this.#writeStatus(name, batch),
      usage: (name, pods) => this.usage.record(name, pods),
      volumesRemoved: (name, paths) => void this.reclamation.removed(name, paths),
    };
    const stream = new SessionStream(hello, nodeName, host, outgoing);
    const older = this.#streams.get(nodeName);
    if (older && older.machineID !== stream.machineID && this.leases.all.get(nodeName)?.alive) {
      throw new GantryError(
        'alreadyExists',
        `node ${nodeName} is in session from another machine (${older.machineID}); stop the agent there, or give this node another name`,
      );
    }
    older?.end(new GantryError('aborted', `node ${nodeName} has opened another session`));
    this.#streams.set(nodeName, stream);
    return stream;
  }

  async #answer(stream: SessionStream, hello: SessionHello, signal: AbortSignal): Promise<Welcome> {
    const { clock } = this.#options;
    const answered = this.leases.waits(stream.nodeName, clock.monotonicMs());
    try {
      return await this.#admit(stream, hello, signal);
    } finally {
      answered(clock.monotonicMs());
    }
  }

  /** The node as it is stored after its hello, read no older than everything written before the hello. */
  async #admit(stream: SessionStream, hello: SessionHello, signal: AbortSignal): Promise<Welcome> {
    const { config, log } = this.#options;
    const { nodeName } = stream;
    // The removal of what must not run twice compares the node (controllers/node-lifecycle): none lands after this.
    const isLost = this.leases.all.get(nodeName)?.alive !== true;
    const stored = await this.#admissions.through(async () => {
      signal.throwIfAborted(); // who waited too long for its turn has given up, and stands in the queue again
      return this.#sync(nodeName, isLost);
    });
    if (!stored) {
      // Whoever has our certificate was a node once. The store itself was asked, after the hello.
      this.leases.forget(nodeName);
      throw new NodeDeletedError(nodeName, await this.#currentRevision(signal));
    }
    stream.nodeUID = stored.metadata.uid;
    const revision = await this.#currentRevision(signal);
    log.info({ node: nodeName, pods: hello.podUIDs?.length ?? 0 }, 'node session opened');
    const { leaseMs, clusterCIDR, serviceCIDR, dnsIP, zone } = config;
    const heartbeatMs = this.#paceMs;
    return { node: stored, revision: revision.toString(), heartbeatMs, leaseMs, clusterCIDR, serviceCIDR, dnsIP, zone };
  }

  /** A slice older than what this node was told before would take pods from it that are still its own. */
  async #currentRevision(signal: AbortSignal): Promise<bigint> {
    const { store, state, clock, upToDate } = this.#options;
    const shown = await upToDate?.();
    if (shown) return shown.revision;
    const read = () => this.#writer.persist(() => store.get(leaderKey));
    const { revision } = await this.#admissions.through(read);
    await within(state.waitFor(revision, signal), mirrorPatienceMs, clock);
    return revision;
  }

  #hear(nodeName: string): boolean {
    if (!this.leads) return false;
    const revived = this.leases.heard(nodeName, this.#options.clock.monotonicMs());
    if (revived) this.#pass(nodeName, 'alive');
    if (this.#stuck.delete(nodeName) && !revived) this.#write(nodeName);
    return true;
  }

  /** A thread beats for an agent that is too busy. It keeps a lease, and gives none: that takes a session. */
  #hearInstead(nodeName: string, agentSilentMs: number): boolean {
    if (!this.leads || this.leases.all.get(nodeName)?.alive !== true) return false;
    this.leases.heard(nodeName, this.#options.clock.monotonicMs());
    if (agentSilentMs >= agentStuckAfterMs && !this.#stuck.has(nodeName)) {
      this.#options.log.warn({ node: nodeName, agentSilentMs }, 'an agent beats, and does nothing else');
      this.#stuck.add(nodeName);
      this.#write(nodeName);
    }
    return true;
  }

  async #writeStatus(nodeName: string, { node, pods = [], events = [] }: StatusBatch): Promise<void> {
    const { state, events: recorder, clock } = this.#options;
    for (const event of events) {
      const accepted = acceptEvent(event, nodeName, state, clock.nowMs());
      if (accepted) recorder.add(accepted);
    }
    if (node) {
      this.#reports.set(nodeName, { ...this.#reports.get(nodeName), status: node });
      await this.#sync(nodeName);
    }
    await this.#pods.write(nodeName, pods);
  }

  #sync(nodeName: string, rewrite = false): Promise<Node | undefined> {
    return this.#nodes.sync(nodeName, () => this.#knowledge(nodeName), rewrite);
  }

  #knowledge(nodeName: string): NodeKnowledge {
    const { status, labels } = this.#reports.get(nodeName) ?? {};
    const alive = this.leases.all.get(nodeName)?.alive === true;
    const { leaseMs } = this.#options.config;
    const stuck = this.#stuck.has(nodeName);
    return { alive, leaseMs, stuck, ...(status && { reported: status }), ...(labels && { labels }) };
  }

  #tick(): void {
    const { clock, log } = this.#options;
    if (this.#leadership.signal.aborted) return;
    this.#ticker = clock.schedule(this.#tickMs, () => this.#tick());
    const { stalledMs, suspects } = this.leases.tick(clock.monotonicMs());
    if (stalledMs > 0) log.warn({ stalledMs }, 'this control plane stood still; every node lease is that much longer');
    if (suspects.length > 0) void this.#judgeAfterInbox(suspects);
    this.#tellIfPaused();
  }

  /** What a node has said may wait, in a socket or on its way to us. */
  async #judgeAfterInbox(suspects: readonly string[]): Promise<void> {
    const { clock, drainInbox } = this.#options;
    if (drainInbox) {
      if (this.#isDraining) return; // whoever is suspected still will be at the next tick
      this.#isDraining = true;
      await drainInbox();
      this.#isDraining = false;
    }
    clock.schedule(drainInboxMs, () => this.#judge(suspects));
  }

  #judge(suspects: readonly string[]): void {
    if (!this.leads) return;
    const lost = this.leases.expire(suspects, this.#options.clock.monotonicMs());
    this.#tellIfPaused();
    for (const nodeName of lost) {
      this.#options.log.warn({ node: nodeName }, 'a node has not been heard for a whole lease; it is lost');
      this.#pass(nodeName, 'lost');
    }
  }

  /** Tells whoever listens, and makes the stored node say so. */
  #pass(nodeName: string, verdict: Verdict): void {
    this.#onVerdict(nodeName, verdict);
    this.#write(nodeName);
  }

  #write(nodeName: string): void {
    this.#verdicts
      .through(() => this.#sync(nodeName))
      .catch((error: unknown) => {
        this.#options.log.warn({ node: nodeName, error: messageOf(error) }, 'a verdict was not written');
      });
  }

  #tellIfPaused(): void {
    const paused = this.leases.massLoss(this.#options.clock.monotonicMs());
    if (paused === this.#wasPaused) return;
    this.#wasPaused = paused;
    const { log } = this.#options;
    if (paused) log.warn({}, 'more than 55 % of the nodes vanished together; evictions pause until some are back');
    else log.info({}, 'evictions go on');
  }

  #announce(node: Node): void {
    const ready = conditionStatus(node.status?.conditions, 'Ready') === 'True';
    const { message = '' } = findCondition(node.status?.conditions, 'Ready') ?? {};
    this.#options.events.record({
      type: ready ? 'Normal' : 'Warning',
      reason: ready ? 'NodeReady' : 'NodeNotReady',
      message: `node ${node.metadata.name} is ${ready ? 'ready' : 'not ready'}: ${message}`,
      about: referenceTo(node),
      component: 'node-sessions',
    });
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    for (const { object, previous } of changes) {
      if (object?.kind === 'Node') this.leases.grant(object.metadata.name, this.#options.clock.monotonicMs());
      if (previous?.kind === 'Node' && !object) this.#nodeDeleted(previous);
    }
    this.#slices.apply(changes);
  }

  #onReplicas(): void {
    this.#servers = addressesOf(this.#options.state);
    for (const stream of this.#streams.values()) stream.servers(this.#servers);
  }

  #nodeDeleted({ metadata: { name, uid } }: Node): void {
    this.leases.forget(name);
    this.#reports.delete(name);
    this.#stuck.delete(name);
    const stream = this.#streams.get(name);
    if (!stream) return;
    // Our mirror may be behind: the node may have joined again since, and this be its new session. Then it asks again.
    const isIts = stream.nodeUID !== undefined && stream.nodeUID === uid;
    stream.end(isIts ? new NodeDeletedError(name, this.#options.state.revision) : nodeIsGone(name));
  }
}

function reportOf({ node }: SessionHello): Report {
  return {
    ...(node?.status && { status: node.status }),
    ...(node?.metadata?.labels && { labels: node.metadata.labels }),
  };
}
