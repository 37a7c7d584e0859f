/** Async iterables over gRPC streams, with backpressure in both directions. */
import type { EventEmitter } from 'node:events';

interface WritableCall extends EventEmitter {
  write(message: object): boolean;
}

/** Writes everything; waits for 'drain' when the peer is slow; stops when aborted. */
export async function drain(source: AsyncIterable<object>, call: WritableCall, signal: AbortSignal): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  const patience = new Patience(signal);
  try {
    for (;;) {
      const next = await patience.with(iterator.next());
      if (next.done) return;
      if (!call.write(next.value)) await patience.with(drained(call));
    }
  } finally {
    patience.end();
    // Not awaited: a generator that is blocked in a pending await only ends when its own signal ends it.
    void iterator.return?.(undefined)?.catch(() => {});
  }
}

function drained(call: WritableCall): Promise<void> {
  return new Promise((resolve) => call.once('drain', resolve));
}

/** Waits for one promise after another until aborted. Listens to the signal once: a stream may have a message a second. */
class Patience {
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#reject(this.#signal.reason);
  #reject: (reason: unknown) => void = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  with<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#signal.aborted) reject(this.#signal.reason);
      promise.then(resolve, reject);
    });
  }

  end(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}
