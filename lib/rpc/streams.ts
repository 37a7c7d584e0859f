/** Async iterables over gRPC streams, with backpressure in both directions. */
import type { EventEmitter } from 'node:events';
import { Outgoing } from './outgoing.ts';

interface WritableCall extends EventEmitter {
  write(message: object): boolean;
}

/** Writes everything; waits for 'drain' when the peer is slow; stops when aborted. */
export async function drain(source: AsyncIterable<object>, call: WritableCall, signal: AbortSignal): Promise<void> {
  if (source instanceof Outgoing) return pump(source, call, signal);
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

/** The same for messages that are there to be taken. What becomes ready in one turn of the event loop goes together. */
function pump(source: Outgoing<object>, call: WritableCall, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    let isFull = false;
    let isDue = false;
    const send = (): void => {
      isDue = false;
      for (let message = isFull ? undefined : source.next(); message; message = isFull ? undefined : source.next()) {
        isFull = !call.write(message);
      }
      if (source.ended?.error !== undefined) reject(source.ended.error);
      else if (source.ended) resolve();
      else if (isFull) call.once('drain', roomAgain);
    };
    const sendSoon = (): void => {
      if (isDue || isFull) return;
      isDue = true;
      queueMicrotask(send);
    };
    const roomAgain = (): void => {
      isFull = false;
      send();
    };
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    source.onNews(() => (source.ended ? send() : sendSoon()));
    send();
  }).finally(() => {
    source.onNews(() => {});
    source.close();
  });
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
