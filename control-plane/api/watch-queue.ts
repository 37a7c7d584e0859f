/**
 * Between a source of events and a client that may read slowly: at most `limit` events wait. A full queue holds the
 * source back (it costs the store nothing); when nothing at all was taken for `stallMs`, the rest is dropped and the
 * reader is told where to resume.
 */
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';

export interface QueueOptions {
  readonly limit: number;
  readonly stallMs: number;
  readonly clock: Clock;
}

export interface Queued<T> {
  readonly event: T;
  /** A reader that has this event resumes from here. */
  readonly resumeFrom: bigint;
}

/** `from` is where to resume before the first event. Ends with the source, or with its error. */
export async function* throughQueue<T>(
  source: AsyncIterable<readonly Queued<T>[]>,
  from: bigint,
  { limit, stallMs, clock }: QueueOptions,
): AsyncGenerator<T, void, undefined> {
  let queue: Queued<T>[] = [];
  let ended: { readonly error?: unknown } | undefined;
  let resumeFrom = from;
  const arrived = signalling();
  const taken = signalling();
  const leaving = new AbortController();

  const pump = async (): Promise<void> => {
    for await (const events of source) {
      for (const event of events) {
        while (queue.length >= limit) await takenOrStalled();
        queue.push(event);
        arrived.notify();
      }
    }
  };
  const takenOrStalled = async (): Promise<void> => {
    const timer = new AbortController();
    const stalled = clock.sleep(stallMs, AbortSignal.any([timer.signal, leaving.signal])).then(() => 'stalled');
    stalled.catch(() => {}); // cancelled below when the reader was in time
    const first = await Promise.race([taken.next(), stalled]);
    timer.abort(new GantryError('cancelled', 'the reader was in time'));
    if (first !== 'stalled') return;
    queue = [];
    const message = `this watch was not read for ${Math.round(stallMs / 1000)} s while ${limit} events waited`;
    throw new GantryError('resourceExhausted', `${message}; resume from revision ${resumeFrom}`);
  };
  void pump().then(
    () => {
      ended = {};
      arrived.notify();
    },
    (error: unknown) => {
      ended = { error };
      arrived.notify();
    },
  );

  try {
    for (;;) {
      const next = queue.shift();
      if (next) {
        taken.notify();
        resumeFrom = next.resumeFrom;
        yield next.event;
      } else if (ended) {
        if ('error' in ended) throw ended.error;
        return;
      } else {
        await arrived.next();
      }
    }
  } finally {
    leaving.abort(new GantryError('cancelled', 'the reader has left'));
  }
}

/** `next` resolves at the next `notify`; one notify that nobody waits for is remembered. */
function signalling(): { notify(): void; next(): Promise<void> } {
  let waiting: (() => void) | undefined;
  let pending = false;
  return {
    notify() {
      if (!waiting) pending = true;
      waiting?.();
      waiting = undefined;
    },
    next() {
      if (pending) {
        pending = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
  };
}
