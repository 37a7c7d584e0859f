/**
 * A simulated process. It reaches the world only through its clock and its effects, so that it can be killed between
 * any two of them, stand still, or live by a clock that is wrong. A killed process is never told: what it awaits simply
 * never comes, as for a real one.
 */
import { type Clock, sleepOn, type Timer } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { World } from './world.ts';

export interface ProcessOptions {
  readonly name: string;
  readonly host: string;
  /** How fast its clock runs; 1.01 gains 1 %. */
  readonly clockRate?: number;
  /** How far its wall clock is ahead. */
  readonly clockOffsetMs?: number;
}

/** Real timers have a grain, too; without one a wait for what is nearly due would never end. */
const shortestTimerMs = 0.01;

const never: Promise<never> = new Promise(() => {});

export class SimProcess {
  readonly name: string;
  readonly host: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly world: World;
  alive = true;
  /** Of a replica: what it knows of the store. */
  picture: { readonly revision: bigint } | undefined;
  /** Wall clock only. */
  clockOffsetMs: number;
  readonly #rate: number;
  readonly #onKill = new Set<() => void>();
  /** What waits for it to run again, and, while that is being worked off, what came after. */
  #held: (() => void)[] | undefined;
  #stalled = false;
  #killAfterEffects: number | undefined;

  constructor(world: World, { name, host, clockRate = 1, clockOffsetMs = 0 }: ProcessOptions) {
    this.world = world;
    this.name = name;
    this.host = host;
    this.#rate = clockRate;
    this.clockOffsetMs = clockOffsetMs;
    this.random = world.fork();
    this.clock = this.#makeClock();
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /** The process' own code, now or when it runs again. */
  post(callback: () => void): void {
    if (!this.alive) return;
    if (this.#held) this.#held.push(callback);
    else callback();
  }

  /**
   * Something this process does to the world: it begins `delayMs` from now, and its outcome arrives when the process
   * runs. Both may never happen.
   */
  effect<T>(perform: () => Promise<T>, delayMs = 0): Promise<T> {
    if (!this.alive) return never;
    this.world.countEffect(this.name);
    if (this.#killAfterEffects !== undefined) {
      this.#killAfterEffects -= 1;
      if (this.#killAfterEffects < 0) {
        // Half of them have had their effect, of which the process never learns.
        if (this.random.next() < 0.5) void perform().catch(() => {});
        this.kill();
        return never;
      }
    }
    return new Promise<T>((resolve, reject) => {
      const begin = (): void => {
        if (!this.alive) return;
        perform().then(
          (value) => this.post(() => resolve(value)),
          (error: unknown) => this.post(() => reject(error)),
        );
      };
      if (delayMs > 0) this.world.after(delayMs, begin);
      else begin();
    });
  }

  /** An adapter all of whose asynchronous methods are effects of this process. Others are left as they are. */
  guard<T extends object>(adapter: T, methods: readonly (keyof T)[], delayMs: () => number = () => 0): T {
    const guarded = Object.create(adapter) as T;
    for (const method of methods) {
      const original = adapter[method] as (...args: unknown[]) => Promise<unknown>;
      const replacement = (...args: unknown[]): Promise<unknown> =>
        this.effect(() => original.apply(adapter, args), delayMs());
      Object.defineProperty(guarded, method, { value: replacement, configurable: true });
    }
    return guarded;
  }

  /** Dies at once: nothing of it runs any more. */
  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    this.#held = undefined;
    this.world.trace(this.name, 'killed');
    for (const callback of [...this.#onKill]) callback();
  }

  /** Dies in the midst of something: at the effect after the next `count`. */
  killAfterEffects(count: number | undefined): void {
    this.#killAfterEffects = count;
  }

  onKill(callback: () => void): () => void {
    this.#onKill.add(callback);
    return () => this.#onKill.delete(callback);
  }

  /** Stands still as under SIGSTOP; then everything that has arrived comes at once, in the order it came. */
  stall(durationMs: number): void {
    if (!this.alive || this.#stalled) return;
    this.#stalled = true;
    this.#held ??= [];
    this.world.trace(this.name, `stands still for ${Math.round(durationMs)} ms`);
    this.world.after(durationMs, () => this.resume());
  }

  resume(): void {
    if (!this.#stalled || !this.alive) return;
    this.#stalled = false;
    this.world.trace(this.name, `runs again; ${this.#held?.length ?? 0} things were waiting`);
    this.#workOff();
  }

  /** One by one, each with all its consequences, as an event loop would; what comes meanwhile waits for its turn. */
  #workOff(): void {
    if (this.#held?.length === 0) this.#held = undefined;
    if (!this.#held) return;
    this.world.after(0, () => {
      if (!this.alive || this.#stalled) return;
      this.#held?.shift()?.();
      this.#workOff();
    });
  }

  #makeClock(): Clock {
    const { world } = this;
    const startMs = world.nowMs;
    const monotonicMs = (): number => {
      world.countEffect(this.name);
      return (world.nowMs - startMs) * this.#rate;
    };
    const clock: Clock = {
      monotonicMs,
      nowMs: () => world.epochMs + startMs + monotonicMs() + this.clockOffsetMs,
      schedule: (delayMs, callback): Timer => {
        let cancelled = false;
        const timer = world.after(Math.max(shortestTimerMs, delayMs) / this.#rate, () => {
          this.post(() => {
            if (!cancelled) callback();
          });
        });
        return {
          cancel() {
            cancelled = true;
            timer.cancel();
          },
        };
      },
      sleep: (delayMs, signal) => sleepOn(clock, delayMs, signal),
    };
    return clock;
  }
}
