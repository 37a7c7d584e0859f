/**
 * Simulated time and chance. Everything that happens is an event of the world: one is taken, runs, and whatever it set
 * in motion runs as far as it can before the next one. Nothing in the simulation waits for the real world, so that the
 * order of everything follows from the seed alone.
 */
import { createHash } from 'node:crypto';
import type { Timer } from '../../lib/clock.ts';
import { type Random, seededRandom } from '../../lib/random.ts';

interface WorldEvent {
  readonly dueMs: number;
  readonly sequence: number;
  callback: (() => void) | undefined;
}

/** 2026-01-01T00:00:00Z */
const newYearMs = 1_767_225_600_000;
/** More than this in one event is a loop that never waits. */
const mostEffectsPerStep = 200_000;

export class World {
  nowMs = 0;
  steps = 0;
  /** Called after every step. */
  afterStep: () => void = () => {};
  /** Every line of the trace, for people. */
  onLine: ((line: string) => void) | undefined;
  readonly seed: number;
  readonly random: Random;
  /** The time of day at which it begins; minutes turn at any moment of a run. */
  readonly epochMs: number;
  readonly #heap: WorldEvent[] = [];
  readonly #hash = createHash('sha256');
  #sequence = 0;
  #effects = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.epochMs = newYearMs + Math.floor(this.random.next() * 60_000);
  }

  after(delayMs: number, callback: () => void): Timer {
    if (!Number.isFinite(delayMs)) throw new Error(`a timer of ${delayMs} ms`);
    this.#sequence += 1;
    const event: WorldEvent = { dueMs: this.nowMs + Math.max(0, delayMs), sequence: this.#sequence, callback };
    this.#push(event);
    return {
      cancel() {
        event.callback = undefined;
      },
    };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /** One line of what happened; the hash of all lines is the run's identity. */
  trace(who: string, what: string): void {
    const line = `${this.nowMs.toFixed(3).padStart(12)} ${who.padEnd(8)} ${what}\n`;
    this.#hash.update(line);
    this.onLine?.(line);
  }

  hash(): string {
    return this.#hash.copy().digest('hex').slice(0, 32);
  }

  /**
   * Guards against code that goes on for ever without waiting: it would never let go of the event loop, so that there
   * is nobody left to tell but the terminal.
   */
  countEffect(who: string): void {
    this.#effects += 1;
    if (this.#effects <= mostEffectsPerStep) return;
    const { stack } = new Error(`seed ${this.seed}: ${who} never comes to rest at ${this.nowMs} ms`);
    process.stderr.write(`${stack}\n`);
    process.exit(70);
  }

  /** Runs everything due until `untilMs`, or until `stop` says so. */
  async run(untilMs: number, stop: () => boolean = () => false): Promise<void> {
    await settle();
    while (!stop()) {
      const event = this.#heap[0];
      if (!event || event.dueMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return;
      }
      this.#pop();
      const { callback } = event;
      if (!callback) continue;
      this.nowMs = event.dueMs;
      this.#effects = 0;
      this.steps += 1;
      callback();
      await settle();
      this.afterStep();
    }
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + this.random.next() * (high - low);
  }

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random.next() * items.length)]!;
  }

  /** A sequence of its own, so that one part's draws do not shift another's. */
  fork(): Random {
    return seededRandom(Math.floor(this.random.next() * 2 ** 32));
  }

  #push(event: WorldEvent): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: WorldEvent, b: WorldEvent): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence);
}

/** Promises and ticks that wait for nothing else have run when the event loop comes round. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
