/**
 * A clock that a test or the simulation turns by hand: time passes only in `advance`. Callbacks run in order of their
 * due time, those due together in the order they were scheduled.
 */
import { type Clock, sleepOn, type Timer } from './clock.ts';

export interface VirtualClock extends Clock {
  /** Lets `ms` pass; after each callback, lets everything that awaits it run as far as it can. */
  advance(ms: number): Promise<void>;
  /** Lets whatever is ready run, without time passing. */
  settle(): Promise<void>;
  /** Advances in small steps until `condition` holds; throws when it does not within `limitMs` of virtual time. */
  until(condition: () => boolean, limitMs: number, what?: string): Promise<void>;
}

/** 2026-01-01T00:00:00Z */
const defaultEpochMs = 1_767_225_600_000;

export function virtualClock(epochMs: number = defaultEpochMs): VirtualClock {
  let elapsedMs = 0;
  let sequence = 0;
  const timers = new Map<number, { readonly dueMs: number; readonly callback: () => void }>();

  const schedule = (delayMs: number, callback: () => void): Timer => {
    sequence += 1;
    const id = sequence;
    timers.set(id, { dueMs: elapsedMs + Math.max(0, delayMs), callback });
    return { cancel: () => timers.delete(id) };
  };
  const nextTimer = (limitMs: number): number | undefined => {
    let earliest: number | undefined;
    for (const [id, timer] of timers) {
      if (timer.dueMs > limitMs) continue;
      if (earliest === undefined || timer.dueMs < timers.get(earliest)!.dueMs) earliest = id;
    }
    return earliest;
  };
  const advance = async (ms: number): Promise<void> => {
    const limitMs = elapsedMs + ms;
    await settle();
    for (let id = nextTimer(limitMs); id !== undefined; id = nextTimer(limitMs)) {
      const timer = timers.get(id)!;
      timers.delete(id);
      elapsedMs = Math.max(elapsedMs, timer.dueMs);
      timer.callback();
      await settle();
    }
    elapsedMs = limitMs;
  };
  const clock: VirtualClock = {
    nowMs: () => epochMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    schedule,
    sleep: (delayMs, signal) => sleepOn(clock, delayMs, signal),
    advance,
    settle,
    async until(condition, limitMs, what = 'the condition') {
      const endMs = elapsedMs + limitMs;
      await settle();
      while (!condition()) {
        if (elapsedMs >= endMs) throw new Error(`${what} did not come to hold within ${limitMs} ms of virtual time`);
        await advance(Math.min(50, endMs - elapsedMs));
      }
    },
  };
  return clock;
}

/** Two turns of the event loop: promises and streams that wait for nothing else are done by then. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
