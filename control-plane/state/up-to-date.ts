/**
 * Reading from the mirror what one would read from the store.
 *
 * Invariant: the state that `upToDate` resolves with shows everything that was in the store when it was called, whoever
 * wrote it. The store is asked which revision it has come to, once for all who ask meanwhile, and the mirror has to get
 * there. Where it does not, soon, the answer is undefined, and the caller reads the store itself.
 */
import type { Clock } from '../../lib/clock.ts';
import { storeRoot } from '../../lib/model/keys.ts';
import type { Store } from '../../lib/store/store.ts';
import type { ClusterState } from './cluster-state.ts';

export type UpToDate = () => Promise<ClusterState | undefined>;

/** A mirror is some milliseconds behind; one that takes longer is busy, or its watch is broken. */
const patienceMs = 100;
/** It is not waited for again so soon. */
const distrustMs = 1_000;
/** Nothing is kept there: only the revision is of interest. */
const noKey = `${storeRoot}revision`;

export interface UpToDateOptions {
  readonly store: Pick<Store, 'get'>;
  readonly state: ClusterState;
  readonly clock: Clock;
}

export function upToDateState(options: UpToDateOptions): UpToDate {
  const questions = new Questions(options);
  return async () => ((await questions.ask()) ? options.state : undefined);
}

class Questions {
  readonly #options: UpToDateOptions;
  #running: Promise<unknown> | undefined;
  /** For those who came after the running one was sent: its answer may be older than what they must see. */
  #next: Promise<boolean> | undefined;
  #distrustedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: UpToDateOptions) {
    this.#options = options;
  }

  async ask(): Promise<boolean> {
    const { state, clock } = this.#options;
    if (!state.synced || clock.monotonicMs() < this.#distrustedUntilMs) return false;
    if (!this.#running) return this.#send();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#send();
    });
    return this.#next;
  }

  #send(): Promise<boolean> {
    const answer = this.#options.store.get(noKey).then(
      ({ revision }) => revision,
      () => undefined,
    );
    const running = answer.then(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return answer.then((revision) => revision !== undefined && this.#shows(revision));
  }

  async #shows(revision: bigint): Promise<boolean> {
    const { state, clock } = this.#options;
    if (state.revision >= revision) return true;
    const patience = new AbortController();
    const timer = clock.schedule(patienceMs, () => patience.abort());
    try {
      await state.waitFor(revision, patience.signal);
      return true;
    } catch {
      this.#distrustedUntilMs = clock.monotonicMs() + distrustMs;
      return false;
    } finally {
      timer.cancel();
    }
  }
}
