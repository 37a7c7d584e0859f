/**
 * Beats for an agent that is too busy to: a busy agent must not look like a dead node. It runs in a thread of its own
 * (stand-in-thread.ts) and does nothing at all while the agent gets round to its own heartbeats.
 *
 * - It keeps the lease that the agent's session has, at that session's server, and never begins one: whatever has lapsed
 *   takes a session to mend, in which the agent learns what has changed meanwhile.
 * - Each heartbeat says for how long the agent has been silent, so that one that never wakes again is found out.
 * - Time in which the whole process stood still is no silence of the agent: the stand-in did as little.
 */
import type { Clock, Timer } from '../../lib/clock.ts';

/** Where the agent's session is. */
export interface StandInTarget {
  readonly address: string;
  readonly heartbeatMs: number;
}

export interface BeatStream {
  send(beat: { readonly sequence: number; readonly agentSilentMs: number }): void;
  close(): void;
}

export interface StandInOptions {
  readonly clock: Clock;
  /** Changes whenever the agent has got round to something. */
  readonly turns: () => number;
  readonly open: (address: string, onAck: (sequence: number) => void, onEnd: () => void) => BeatStream;
  /** In which leases are told. */
  readonly leaseClockMs: () => number;
  readonly onAcknowledged: (sentAtMs: number) => void;
}

const lookMs = 250;
/** With its look it stands in after 1.25 s at the latest: the third of a lease that is left is for the connection. */
const patienceMs = 1_000;
/** A look that is later than that: this process stood still, or the machine has too much to do. */
const lateMs = 1_000;
/** A connection that was needed once is kept for so long. */
const keptMs = 60_000;

export class StandIn {
  readonly #options: StandInOptions;
  #target: StandInTarget | undefined;
  #stream: BeatStream | undefined;
  readonly #sentAtMs = new Map<number, number>();
  #sequence = 0;
  #turns = -1;
  #turnedMs: number;
  /** Of the time since then, what we stood still. */
  #stoodMs = 0;
  #lookedMs: number;
  #beatMs = Number.NEGATIVE_INFINITY;
  #timer: Timer;

  constructor(options: StandInOptions) {
    this.#options = options;
    this.#turnedMs = options.clock.monotonicMs();
    this.#lookedMs = this.#turnedMs;
    this.#timer = options.clock.schedule(lookMs, () => this.#look());
  }

  /** Undefined: there is no session to keep. */
  set target(target: StandInTarget | undefined) {
    if (target?.address !== this.#target?.address) this.#hangUp();
    this.#target = target;
  }

  stop(): void {
    this.#timer.cancel();
    this.#hangUp();
  }

  #look(): void {
    const { clock, turns } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#timer = clock.schedule(lookMs, () => this.#look());
    const lateByMs = nowMs - this.#lookedMs - lookMs;
    this.#lookedMs = nowMs;
    if (lateByMs > lateMs) this.#stoodMs += lateByMs;
    if (turns() !== this.#turns) {
      this.#turns = turns();
      this.#turnedMs = nowMs;
      this.#stoodMs = 0;
    }
    const silentMs = nowMs - this.#turnedMs;
    if (!this.#target || silentMs < patienceMs) {
      if (nowMs - this.#beatMs > keptMs) this.#hangUp();
    } else if (nowMs - this.#beatMs >= this.#target.heartbeatMs - lookMs / 2) {
      this.#beat(this.#target, nowMs, Math.round(silentMs - this.#stoodMs));
    }
  }

  #beat({ address }: StandInTarget, nowMs: number, agentSilentMs: number): void {
    const { open, leaseClockMs } = this.#options;
    this.#beatMs = nowMs;
    this.#stream ??= open(
      address,
      (sequence) => this.#acknowledged(sequence),
      () => this.#hangUp(),
    );
    this.#sequence += 1;
    this.#sentAtMs.set(this.#sequence, leaseClockMs());
    this.#stream.send({ sequence: this.#sequence, agentSilentMs });
  }

  #acknowledged(sequence: number): void {
    const sentAtMs = this.#sentAtMs.get(sequence);
    for (const earlier of this.#sentAtMs.keys()) if (earlier <= sequence) this.#sentAtMs.delete(earlier);
    if (sentAtMs !== undefined) this.#options.onAcknowledged(sentAtMs);
  }

  #hangUp(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#sentAtMs.clear();
  }
}
