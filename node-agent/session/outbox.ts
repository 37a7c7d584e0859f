/** Messages on their way to the control plane. Of heartbeats only the newest waits; all else waits its turn. */
import { Outgoing } from '../../lib/rpc/outgoing.ts';
import type { SessionUp } from '../../proto/gen/types.ts';

export class Outbox extends Outgoing<SessionUp> {
  readonly #waiting: SessionUp[] = [];

  constructor() {
    super();
    this.from(() => this.#waiting.shift());
  }

  push(message: SessionUp): void {
    const last = this.#waiting.findIndex(({ heartbeat }) => heartbeat !== undefined);
    if (message.heartbeat && last >= 0) this.#waiting[last] = message;
    else this.#waiting.push(message);
    this.wake();
  }
}
