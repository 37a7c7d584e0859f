/** Writes of the leader: fenced by its term, repeated while the store is away and the term lasts. */
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Leadership } from '../../lib/store/leader.ts';
import { type Compare, getOf, type KeyValue, type Operation, type Store } from '../../lib/store/store.ts';

export interface FencedWriter {
  readonly leadership: Leadership;
  /** False when one of the comparisons did not hold. Throws failedPrecondition once the term is over. */
  write(compare: readonly Compare[], success: readonly Operation[]): Promise<boolean>;
  /** As `write`; undefined when it was written, else what the keys hold that kept it from being written. */
  writeOrRead(
    compare: readonly Compare[],
    success: readonly Operation[],
    keys: readonly string[],
  ): Promise<ReadonlyMap<string, KeyValue | undefined> | undefined>;
  /** Runs `task` again after the store was away, until it succeeds, fails for good, or the term is over. */
  persist<T>(task: () => Promise<T>): Promise<T>;
}

const retryMs = 200;

export function createFencedWriter(store: Store, leadership: Leadership, clock: Clock): FencedWriter {
  const checkTerm = (): void => {
    if (leadership.signal.aborted) throw termIsOver();
  };
  return {
    leadership,
    async write(compare, success) {
      checkTerm();
      const { succeeded } = await store.transact({ compare: [leadership.fence, ...compare], success });
      if (!succeeded) checkTerm();
      return succeeded;
    },
    async writeOrRead(compare, success, keys) {
      checkTerm();
      const failure = keys.map(getOf);
      const result = await store.transact({ compare: [leadership.fence, ...compare], success, failure });
      if (result.succeeded) return undefined;
      checkTerm();
      const found = result.responses.map((response) => (response.kind === 'get' ? response.kv : undefined));
      return new Map(keys.map((key, index) => [key, found[index]]));
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
