/**
 * Reading from the mirror what one would read from the store.
 *
 * Invariant: the state that `upToDate` resolves with shows every write that anybody had an answer to when it was called,
 * whichever replica wrote. The store is asked which revision it has come to, once for all who ask meanwhile, and the
 * mirror has to get there. Where it does not, soon, the answer is undefined, and the caller reads the store itself.
 *
 * A replica that is alone (../sole-replica.ts) need not ask each time: it has all answers to writes in its own memory.
 * That it is still alone it knows from its last question to the store, of whatever kind, while that is not long ago.
 */
import type { Clock } from '../../lib/clock.ts';
import { storeRoot } from '../../lib/model/keys.ts';
import type { Store } from '../../lib/store/store.ts';
import type { ClusterState } from './cluster-state.ts';
import type { Contact, Scope } from './contact.ts';

/** With a scope only what is in it is sure to be up to date. */
export type UpToDate = (scope?: Scope) => Promise<ClusterState | undefined>;

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
  /** Absent: the store is always asked. */
  readonly alone?: Alone;
}

export interface Alone {
  /** Of `store`. */
  readonly contact: Contact;
  /** As the mirror shows it at present. */
  readonly isSole: () => boolean;
  /** How long after a question to the store its answer tells that no other replica has begun to serve. */
  readonly trustedMs: number;
}

export function upToDateState(options: UpToDateOptions): UpToDate {
  const questions = new Questions(options);
  return async (scope) => ((await questions.ask(scope)) ? options.state : undefined);
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

  async ask(scope: Scope | undefined): Promise<boolean> {
    const { state, clock } = this.#options;
    if (!state.synced || clock.monotonicMs() < this.#distrustedUntilMs) return false;
    if (this.#trustsItself()) {
      return this.#shows(this.#options.alone!.contact.needed(scope));
    }
    if (!this.#running) return this.#send();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#send();
    });
    return this.#next;
  }

  /** What the mirror shows at a revision tells whether another replica had come by then. */
  #trustsItself(): boolean {
    const { alone, state, clock } = this.#options;
    if (!alone?.isSole()) return false;
    const agoMs = clock.monotonicMs() - alone.contact.confirmedMs(state.revision);
    if (agoMs > alone.trustedMs) return false;
    if (agoMs > alone.trustedMs / 2 && !this.#running) void this.#send(); // so that those who come later need not wait
    return true;
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
