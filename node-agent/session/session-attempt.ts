/** One connection of the session client, from hello to its end. */
import type { Timer } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Heartbeat, Node, PodStats, SessionDown, SharedPosition, Slice, Welcome } from '../../proto/gen/types.ts';
import { Outbox } from './outbox.ts';
import type { ReportBuffer } from './report-buffer.ts';
import type { SessionClientOptions } from './session-client.ts';
import { SliceParts } from './slice-parts.ts';

/** The server said nothing for too long. */
export class SilentServerError extends GantryError {
  readonly when: 'in session' | 'dialed';

  constructor(message: string, when: 'in session' | 'dialed') {
    super('unavailable', message);
    this.when = when;
    this.name = 'SilentServerError';
  }
}

/** What is known from one session to the next. */
export interface SessionMemory {
  /** How far the slice has come of what all nodes see alike. */
  shared?: SharedPosition;
}

/** How long a server may say nothing. */
export interface Patience {
  /** From dialing to welcome. */
  readonly welcomeMs: number;
  /** In session, in leases; asked again and again. */
  silentLeases(): number;
}

/** Until welcome says otherwise. */
const defaultHeartbeatMs = 1_000;
const defaultLeaseMs = 3_000;
/** A burst of changes shares a batch. */
const reportDelayMs = 5;
/** The control plane has as long to catch up. */
const staleSliceMs = 10_000;
/** Between the suspicion that the server is silent and giving up on it. */
const drainInboxMs = 50;
/** Events travel with the next status; alone only after this long. */
const eventDelayMs = 200;

export class SessionAttempt {
  welcomed = false;
  readonly #address: string;
  readonly #options: SessionClientOptions;
  readonly #reports: ReportBuffer;
  readonly #patience: Patience;
  readonly #onAck: (sentAtMs: number) => void;
  readonly #memory: SessionMemory;
  readonly #outbox = new Outbox();
  readonly #over = new AbortController();
  /** When each heartbeat that is not acknowledged yet was sent: by our clock, and by the one that leases are told in. */
  readonly #sent = new Map<number, { readonly atMs: number; readonly leaseMs: number }>();
  readonly #timers = new Set<Timer>();
  readonly #parts = new SliceParts();
  #sequence = 0;
  #heartbeatMs = defaultHeartbeatMs;
  #leaseMs = defaultLeaseMs;
  #aliveMs: number;
  #reportTimer: Timer | undefined;
  #reportDueMs = 0;

  constructor(
    address: string,
    options: SessionClientOptions,
    reports: ReportBuffer,
    patience: Patience,
    onAck: (sentAtMs: number) => void,
    memory: SessionMemory,
  ) {
    this.#address = address;
    this.#options = options;
    this.#reports = reports;
    this.#patience = patience;
    this.#onAck = onAck;
    this.#memory = memory;
    this.#aliveMs = options.clock.monotonicMs();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { transport, clock } = this.#options;
    const either = AbortSignal.any([signal, this.#over.signal]);
    const { welcomeMs } = this.#patience;
    const dialed = clock.schedule(welcomeMs, () => {
      if (!this.welcomed) this.#giveUp(`${this.#address} did not answer within ${welcomeMs / 1000} s`);
    });
    this.#timers.add(dialed);
    this.#reports.startAgain();
    const { shared } = this.#memory;
    const podUIDs = [...this.#options.podUIDs()];
    this.#outbox.push({ hello: { node: this.#hello(), podUIDs, slicesInParts: true, ...(shared && { shared }) } });
    try {
      for await (const message of transport.open(this.#address, this.#outbox, either)) this.#take(message);
    } finally {
      this.welcomed = false;
      this.#options.standIn?.target(undefined);
      this.#outbox.end();
      for (const timer of this.#timers) timer.cancel();
      this.#reportTimer?.cancel();
    }
  }

  reportSoon(delayMs = reportDelayMs): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + delayMs;
    if (!this.welcomed || (this.#reportTimer && this.#reportDueMs <= dueMs)) return;
    this.#reportTimer?.cancel();
    this.#reportDueMs = dueMs;
    this.#reportTimer = clock.schedule(delayMs, () => {
      this.#reportTimer = undefined;
      const status = this.#reports.take();
      if (status) this.#outbox.push({ status });
    });
  }

  /** Lost when there is no session: the next figures are as good. */
  usage(pods: PodStats[]): void {
    if (this.welcomed) this.#outbox.push({ usage: { pods } });
  }

  /** Said again when the control plane asks again. */
  volumesRemoved(paths: string[]): void {
    if (this.welcomed) this.#outbox.push({ volumesRemoved: { paths } });
  }

  reportEventsSoon(): void {
    this.reportSoon(eventDelayMs);
  }

  #hello(): Node {
    const node = this.#options.node();
    const status = this.#reports.nodeStatus;
    return status ? { ...node, status } : node;
  }

  #take({ welcome, heartbeatAck, slice, statusAck, servers, usageWanted, removeVolumes }: SessionDown): void {
    this.#aliveMs = this.#options.clock.monotonicMs();
    if (welcome) this.#begin(welcome);
    if (heartbeatAck) this.#acknowledged(heartbeatAck);
    if (slice) this.#applySlice(slice);
    if (servers) this.#options.onServers?.(servers.addresses ?? []);
    if (removeVolumes) this.#options.onRemoveVolumes?.(removeVolumes);
    if (usageWanted) this.#options.onUsageWanted?.(usageWanted);
    if (statusAck) {
      this.#reports.acknowledge(statusAck.sequence ?? 0);
      this.reportSoon();
    }
  }

  #begin(welcome: Welcome): void {
    this.welcomed = true;
    this.#leaseMs = welcome.leaseMs || defaultLeaseMs;
    this.#options.log.info({ server: this.#address }, 'in session with the control plane');
    this.#options.onUsageWanted?.({ podUIDs: [] });
    this.#options.lease?.welcomed(welcome.revision);
    this.#setPace(welcome.heartbeatMs || defaultHeartbeatMs);
    this.#options.onWelcome?.(welcome);
    this.#beat();
    this.#watchSilence();
    this.reportSoon();
  }

  /** Milliseconds between two beats, our stand-in's as well. */
  #setPace(heartbeatMs: number): void {
    this.#heartbeatMs = heartbeatMs;
    this.#options.standIn?.target({ address: this.#address, heartbeatMs });
  }

  /** Gives up when the server has said nothing for a lease: at that moment, for the next leader may be there by now. */
  #watchSilence(): void {
    this.#later(Math.min(this.#silenceLeftMs(), this.#leaseMs), () => {
      if (this.#silenceLeftMs() > 0) this.#watchSilence();
      else this.#judgeAfterInbox();
    });
  }

  #silenceLeftMs(): number {
    const silentMs = this.#options.clock.monotonicMs() - this.#aliveMs;
    return this.#leaseMs * this.#patience.silentLeases() - silentMs;
  }

  /** Perhaps it was us who stood still, or had no time: what has arrived meanwhile is taken in first, however long that takes. */
  #judgeAfterInbox(): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + drainInboxMs;
    this.#later(drainInboxMs, () => {
      const silentMs = clock.monotonicMs() - this.#aliveMs;
      if (this.#silenceLeftMs() > 0) this.#watchSilence();
      else if (clock.monotonicMs() > dueMs + drainInboxMs) this.#judgeAfterInbox();
      else this.#giveUp(`${this.#address} has not answered for ${Math.round(silentMs / 1000)} s`);
    });
  }

  #later(delayMs: number, callback: () => void): void {
    const timer = this.#options.clock.schedule(Math.max(0, delayMs), () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
  }

  #beat(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#reports.review()) this.reportSoon();
    this.#sequence += 1;
    this.#sent.set(this.#sequence, { atMs: nowMs, leaseMs: this.#options.lease?.nowMs() ?? nowMs });
    this.#outbox.push({ heartbeat: { sequence: this.#sequence } });
    this.#later(this.#heartbeatMs, () => this.#beat());
  }

  #acknowledged({ sequence = 0, heartbeatMs }: Heartbeat): void {
    if (heartbeatMs) this.#setPace(heartbeatMs);
    const sent = this.#sent.get(sequence);
    if (sent === undefined) return;
    for (const earlier of this.#sent.keys()) if (earlier <= sequence) this.#sent.delete(earlier);
    if (this.#options.lease?.acknowledged(sent.leaseMs) === false) this.#giveUp('contact had lapsed');
    else this.#onAck(sent.atMs);
  }

  #applySlice(message: Slice): void {
    const slice = this.#parts.take(message);
    if (!slice) return;
    this.#options.slice.apply(slice);
    if (slice.shared) this.#memory.shared = slice.shared;
    else if (slice.complete) delete this.#memory.shared;
    for (const { pod } of slice.objects ?? []) if (pod) this.#reports.observe(pod);
    if (slice.complete && this.#options.lease?.sliceApplied(slice.revision) === false) this.#askAgainLater();
    this.reportSoon();
  }

  /** The control plane's own picture was behind when it told us. */
  #askAgainLater(): void {
    this.#later(staleSliceMs, () => this.#giveUp('the slice was an old one'));
  }

  #giveUp(reason: string): void {
    this.#over.abort(new SilentServerError(reason, this.welcomed ? 'in session' : 'dialed'));
  }
}
