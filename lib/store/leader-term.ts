/** One term of leadership, and the local clock it must end by. */
import type { Clock, Timer } from '../clock.ts';
import type { Leadership } from './leader.ts';
import { type Compare, createRevisionIs, type Lease } from './store.ts';

export class Term implements Leadership {
  readonly key: string;
  readonly createRevision: bigint;
  readonly fence: Compare;
  readonly lease: Lease;
  /** What was asked for as the lease, milliseconds. */
  readonly askedMs: number;
  reason = '';
  readonly #clock: Clock;
  readonly #marginMs: number;
  /** After the deadline, for answers that have arrived while this process was busy: less than is left of the lease. */
  readonly #drainMs: number;
  readonly #over = new AbortController();
  #deadlineMs: number;
  #timer: Timer;

  /** @param granted the lease, as what it was asked for, and when */
  constructor(
    key: string,
    createRevision: bigint,
    granted: { readonly lease: Lease; readonly askedMs: number; readonly sentMs: number },
    clock: Clock,
  ) {
    const { lease, askedMs, sentMs } = granted;
    this.key = key;
    this.createRevision = createRevision;
    this.fence = createRevisionIs(key, createRevision);
    this.lease = lease;
    this.askedMs = askedMs;
    this.#clock = clock;
    this.#marginMs = lease.ttlMs / 5;
    this.#drainMs = this.#marginMs / 2;
    this.#deadlineMs = sentMs + lease.ttlMs - this.#marginMs;
    this.#timer = this.#watchDeadline();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  isHeld(): boolean {
    // A stopped process wakes with its timers late: the clock decides, not the timer.
    return !this.#over.signal.aborted && this.#clock.monotonicMs() < this.#deadlineMs;
  }

  /** The lease is now known to last until `leaseEndMs`. */
  extend(leaseEndMs: number): void {
    this.#deadlineMs = Math.max(this.#deadlineMs, leaseEndMs - this.#marginMs);
  }

  end(reason: string): void {
    if (this.#over.signal.aborted) return;
    this.reason = reason;
    this.#timer.cancel();
    this.#over.abort();
  }

  #watchDeadline(): Timer {
    const leftMs = this.#deadlineMs - this.#clock.monotonicMs();
    const isOver = leftMs <= 0;
    return this.#clock.schedule(isOver ? this.#drainMs : leftMs, () => {
      if (isOver && !this.isHeld()) this.end('its lease could not be renewed in time');
      else this.#timer = this.#watchDeadline();
    });
  }
}
