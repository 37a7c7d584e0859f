/** Messages on their way to the control plane. Of heartbeats only the newest waits; all else waits its turn. */
import type { SessionUp } from '../../proto/gen/types.ts';

export class Outbox implements AsyncIterable<SessionUp> {
  readonly #waiting: SessionUp[] = [];
  #closed = false;
  #wake: () => void = () => {};

  push(message: SessionUp): void {
    const last = this.#waiting.findIndex(({ heartbeat }) => heartbeat !== undefined);
    if (message.heartbeat && last >= 0) this.#waiting[last] = message;
    else this.#waiting.push(message);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SessionUp> {
    while (!this.#closed) {
      const next = this.#waiting.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
