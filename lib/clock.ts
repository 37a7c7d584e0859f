/**
 * Time enters the system here and nowhere else. `nowMs` is wall time (for timestamps people read), `monotonicMs` is
 * for durations and leases and never goes backwards.
 */

import { uptime } from 'node:os';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic, milliseconds since an arbitrary start. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`. Delays beyond 2^31-1 ms are clamped to that. */
  schedule(delayMs: number, callback: () => void): Timer;
  /** Resolves after `delayMs`, or rejects with the signal's reason when aborted first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

const longestDelayMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(delayMs, callback) {
    const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), longestDelayMs));
    return { cancel: () => clearTimeout(handle) };
  },
  sleep(delayMs, signal) {
    return sleepOn(systemClock, delayMs, signal);
  },
};

/** CLOCK_BOOTTIME in milliseconds (grain 10): monotonic, the same for all processes, and it counts while the machine sleeps. */
export function bootTimeMs(): number {
  return Math.round(uptime() * 1000);
}

/** `sleep` in terms of `schedule`, shared by every clock. */
export function sleepOn(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.schedule(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** RFC 3339 with whole seconds in UTC, the form of every timestamp in an object. */
export function timestamp(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== written.second) written = { second, text: new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z') };
  return written.text;
}

/** The last one: thousands of objects are made in the same second. */
let written = { second: Number.NaN, text: '' };
