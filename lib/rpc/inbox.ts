/**
 * The messages of a call, read one after another. A Readable's own iterator costs several turns of the event loop for
 * each; here a message that somebody waits for reaches him at once.
 */
import type { EventEmitter } from 'node:events';
import { GantryError } from '../errors.ts';

interface ReadableCall extends EventEmitter {
  pause(): unknown;
  resume(): unknown;
}

/** Read ahead; from then on the other side waits. */
const mostWaiting = 16;

/** For one reader. Reading no more does not end the call: it may still be answered. */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #call: ReadableCall;
  #waiting: T[] = [];
  #reader: PromiseWithResolvers<IteratorResult<T>> | undefined;
  #over: { readonly error?: unknown } | undefined;
  #paused = false;
  /** Why it broke, while what had come before that is still being read. */
  #failure: { readonly error: unknown } | undefined;

  constructor(call: ReadableCall, signal: AbortSignal) {
    this.#call = call;
    call.on('data', (message: T) => this.#put(message));
    call.on('error', (error: unknown) => this.#fail(error));
    call.on('end', () => this.#end(this.#failure ?? {}));
    call.on('close', () => this.#end({ error: new GantryError('cancelled', 'the client went away') }));
    if (signal.aborted) this.#end({ error: signal.reason });
    else signal.addEventListener('abort', () => this.#end({ error: signal.reason }), { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    const value = this.#waiting.shift();
    if (value !== undefined) {
      if (this.#paused && this.#waiting.length === 0) {
        this.#paused = false;
        this.#call.resume();
      }
      return Promise.resolve({ done: false, value });
    }
    if (this.#over) return this.#ended(this.#over);
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  return(): Promise<IteratorResult<T>> {
    this.#waiting = [];
    this.#call.pause();
    this.#end({});
    return Promise.resolve({ done: true, value: undefined });
  }

  #put(message: T): void {
    if (this.#over) return;
    const reader = this.#reader;
    if (reader) {
      this.#reader = undefined;
      reader.resolve({ done: false, value: message });
      return;
    }
    this.#waiting.push(message);
    if (this.#waiting.length < mostWaiting || this.#paused || this.#failure) return;
    this.#paused = true;
    this.#call.pause();
  }

  #fail(error: unknown): void {
    if (!this.#paused) {
      this.#end({ error });
      return;
    }
    this.#failure = { error };
    this.#paused = false;
    this.#call.resume();
  }

  #end(over: { readonly error?: unknown }): void {
    if (this.#over) return;
    this.#over = over;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader) this.#ended(over).then(reader.resolve, reader.reject);
  }

  #ended({ error }: { readonly error?: unknown }): Promise<IteratorResult<T>> {
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
  }
}
