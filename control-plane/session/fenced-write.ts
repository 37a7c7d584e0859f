/** Writes of the leader: fenced by its term, repeated while the store is away and the term lasts. */
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Leadership } from '../../lib/store/leader.ts';
import type { Compare, Operation, Store } from '../../lib/store/store.ts';

export interface FencedWriter {
  readonly leadership: Leadership;
  /** False when one of the comparisons did not hold. Throws failedPrecondition once the term is over. */
  write(compare: readonly Compare[], success: readonly Operation[]): Promise<boolean>;
  /** Runs `task` again after the store was away, until it succeeds, fails for good, or the term is over. */
  persist<T>(task: () => Promise<T>): Promise<T>;
}

const retryMs = 200;

export function createFencedWriter(store: Store, leadership: Leadership, clock: Clock): FencedWriter {
  const checkTerm = (): void => {
    if (!leadership.isHeld()) throw termIsOver();
  };
  return {
    leadership,
    async write(compare, success) {
      checkTerm();
      const { succeeded } = await store.transact({ compare: [leadership.fence, ...compare], success });
      if (!succeeded) checkTerm();
      return succeeded;
    },
    async persist(task) {
      for (;;) {
        checkTerm();
        try {
          return await task();
        } catch (error) {
          const passing = error instanceof GantryError && ['unavailable', 'deadlineExceeded'].includes(error.code);
          if (!passing) throw error;
        }
        await clock.sleep(retryMs);
      }
    },
  };
}

export function termIsOver(): GantryError {
  return new GantryError('failedPrecondition', 'this control plane does not lead any more; connect to the new leader');
}
