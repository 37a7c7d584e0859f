/** Async iterables over gRPC streams, with backpressure in both directions. */
import type { EventEmitter } from 'node:events';

interface WritableCall extends EventEmitter {
  write(message: object): boolean;
}

/** Writes everything; waits for 'drain' when the peer is slow; stops when aborted. */
export async function drain(source: AsyncIterable<object>, call: WritableCall, signal: AbortSignal): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {}); // observed by the races below, or by nobody when all went well
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done) return;
      if (!call.write(next.value)) await Promise.race([drained(call), aborted]);
    }
  } finally {
    // Not awaited: a generator that is blocked in a pending await only ends when its own signal ends it.
    void iterator.return?.(undefined)?.catch(() => {});
  }
}

function drained(call: WritableCall): Promise<void> {
  return new Promise((resolve) => call.once('drain', resolve));
}
