/** What a stream's reader has not taken yet, and the sender's wait for room. */
import type { SimProcess } from './process.ts';

/** What has arrived and is not read yet. */
export class Inbox<T> {
  coming = 0;
  readonly #items: T[] = [];
  #ended: { readonly error?: unknown } | undefined;
  #wake: () => void = () => {};
  #roomWanted: (() => void)[] = [];

  get size(): number {
    return this.#items.length + this.coming;
  }

  push(item: T): void {
    if (this.coming > 0) this.coming -= 1;
    if (this.#ended) return;
    this.#items.push(item);
    this.#wake();
  }

  end(): void {
    this.#ended ??= {};
    this.#wake();
  }

  fail(error: unknown): void {
    if (this.#ended && !('error' in this.#ended)) return;
    this.#ended ??= { error };
    this.#wake();
  }

  room(limit: number, sender: SimProcess): Promise<void> {
    if (this.size < limit) return Promise.resolve();
    return new Promise((resolve) => this.#roomWanted.push(() => sender.post(resolve)));
  }

  async *read(): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        for (const resolve of this.#roomWanted.splice(0)) resolve();
        yield item;
      } else if (this.#ended) {
        if ('error' in this.#ended) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
