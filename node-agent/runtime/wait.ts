/** Waiting for what the kernel will do in a moment and does not announce. */
import type { Clock } from '../../lib/clock.ts';

const firstPauseMs = 1;
const longestPauseMs = 20;

/** Asks `condition` until it holds, more and more slowly; false when `timeoutMs` passed first. */
export async function waitUntil(
  clock: Clock,
  timeoutMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    if (await condition()) return true;
    if (clock.monotonicMs() >= deadlineMs) return false;
    await clock.sleep(pauseMs);
  }
}
