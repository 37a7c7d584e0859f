/** Async iterables over gRPC streams, with backpressure in both directions. */
import type { EventEmitter } from 'node:events';
import { untilAborted } from '../until-aborted.ts';

interface WritableCall extends EventEmitter {
  write(message: object): boolean;
}

/** Writes everything; waits for 'drain' when the peer is slow; stops when aborted. */
export async function drain(source: AsyncIterable<object>, call: WritableCall, signal: AbortSignal): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), signal);
      if (next.done) return;
      if (!call.write(next.value)) await untilAborted(drained(call), signal);
    }
  } finally {
    // Not awaited: a generator that is blocked in a pending await only ends when its own signal ends it.
    void iterator.return?.(undefined)?.catch(() => {});
  }
}

function drained(call: WritableCall): Promise<void> {
  return new Promise((resolve) => call.once('drain', resolve));
}
