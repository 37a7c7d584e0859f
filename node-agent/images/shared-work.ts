/** Callers that ask for the same thing at the same time share one piece of work. */
import { untilAborted } from '../../lib/until-aborted.ts';

export interface SharedWork<Result> {
  /** Joins the work under way for `key`, or begins it. The work is aborted only when every caller has given up. */
  run(key: string, begin: (signal: AbortSignal) => Promise<Result>, signal?: AbortSignal): Promise<Result>;
}

export function sharedWork<Result>(): SharedWork<Result> {
  const underWay = new Map<
    string,
    { readonly result: Promise<Result>; readonly abort: AbortController; callers: number }
  >();
  return {
    async run(key, begin, signal) {
      signal?.throwIfAborted();
      let work = underWay.get(key);
      if (!work) {
        const abort = new AbortController();
        const started = { result: begin(abort.signal), abort, callers: 0 };
        const forget = (): void => {
          if (underWay.get(key) === started) underWay.delete(key);
        };
        started.result.then(forget, forget);
        underWay.set(key, started);
        work = started;
      }
      const joined = work;
      joined.callers += 1;
      try {
        return await (signal ? untilAborted(joined.result, signal) : joined.result);
      } finally {
        joined.callers -= 1;
        if (joined.callers === 0 && underWay.get(key) === joined) {
          underWay.delete(key);
          joined.abort.abort();
        }
      }
    },
  };
}
