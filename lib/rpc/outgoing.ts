import { GantryError } from '../errors.ts';

/**
 * What one side sends on a stream, made at the moment when the stream can take it. For those that send a little now and
 * then on thousands of streams: a generator, and others that hand on what it yields, cost several promises a message.
 */
export class Outgoing<T extends object> implements AsyncIterable<T> {
  #take: () => T | undefined = () => undefined;
  #ended: { readonly error?: unknown } | undefined;
  #onNews: () => void = () => {};
  readonly #closed = new AbortController();

  /** From where the next message is taken, whenever there is room for one; undefined: there is none now. */
  from(take: () => T | undefined): void {
    this.#take = take;
    this.wake();
  }

  /** There may be a next message. */
  wake(): void {
    this.#onNews();
  }

  /** Nothing more is sent; with an error, the other side is told. */
  end(error?: unknown): void {
    this.#ended ??= error === undefined ? {} : { error };
    this.#onNews();
  }

  /** Aborted when nobody will take anything any more. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  get ended(): { readonly error?: unknown } | undefined {
    return this.#ended;
  }

  /** For the one who sends. */
  next(): T | undefined {
    return this.#ended ? undefined : this.#take();
  }

  onNews(callback: () => void): void {
    this.#onNews = callback;
  }

  close(): void {
    this.#closed.abort(new GantryError('cancelled', 'nobody reads this stream any more'));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        if (this.#ended?.error !== undefined) throw this.#ended.error;
        if (this.#ended) return;
        const message = this.next();
        if (message) yield message;
        else await new Promise<void>((resolve) => this.onNews(resolve));
      }
    } finally {
      this.close();
    }
  }
}
