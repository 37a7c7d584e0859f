/**
 * Leadership: one key, created under a lease by whoever finds it absent.
 *
 * - The leader's name for its term is the key's create revision. Every write of the leader compares it
 *   (`leadership.fence`), so a deposed leader's writes fail wherever they were delayed.
 * - What cannot be fenced in a transaction asks `isHeld()`. It turns false, by the monotonic clock, a margin before the
 *   lease can end at the store, counted from when the last confirmed renewal was *sent*. The term itself ends a moment
 *   later: a process that was too busy to read the answer to its renewal reads it first, and goes on.
 * - The store's absence or restart ends at most a term; the campaign goes on by itself.
 */
import type { Clock } from '../clock.ts';
import { GantryError, messageOf } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import { Term } from './leader-term.ts';
import { absent, type Compare, createRevisionIs, deleteOf, type KeyValue, putOf, type Store } from './store.ts';
import { transactOnce } from './transact-once.ts';

export interface Leadership {
  readonly key: string;
  readonly createRevision: bigint;
  /** For every transaction of this term. */
  readonly fence: Compare;
  /** Whether the term surely still lasts. False also while that is not known, when it may yet turn out that it does. */
  isHeld(): boolean;
  /** Aborted when the term ends. */
  readonly signal: AbortSignal;
}

export interface CampaignOptions {
  readonly key: string;
  /** Who we are, for people and for other replicas; unique among the candidates, the same after a restart. */
  readonly identity: string;
  /**
   * The lease: how long others wait after a leader vanished; etcd rounds it up to whole seconds. Asked before each
   * renewal: a term that began with another one ends, and the next begins.
   */
  readonly ttlMs: () => number;
  readonly clock: Clock;
  /** Aborting it resigns. */
  readonly signal: AbortSignal;
  readonly log?: Log;
  onElected(leadership: Leadership): void;
  /** Awaited before the key is given away on resignation, and before the next term. */
  onLost(leadership: Leadership, reason: string): void | Promise<void>;
  /**
   * A key that holds our own identity is from our own former life: take it away instead of waiting for its lease.
   * Right when nothing else can run under this identity; and the fence keeps even a mistake harmless. Default false.
   */
  readonly replaceOwn?: boolean;
}

export interface Campaign {
  /** The current term, while it lasts. */
  readonly leadership: Leadership | undefined;
  /** Ends the term, gives the key away at once, and campaigns no more. */
  resign(): Promise<void>;
  /** Resolves when the campaign is over; rejects with what a callback threw. */
  readonly finished: Promise<void>;
}

const retryMs = 500;
/** Renewals are never further apart. */
const longestRenewalMs = 1_000;

export function campaign(store: Store, options: CampaignOptions): Campaign {
  const candidate = new Candidate(store, options);
  return candidate;
}

/** Who leads now, if anyone. */
export async function readLeader(
  store: Store,
  key: string,
): Promise<{ identity: string; createRevision: bigint } | undefined> {
  const { kv } = await store.get(key);
  return kv && { identity: identityOf(kv), createRevision: kv.createRevision };
}

const identityOf = (kv: KeyValue): string => new TextDecoder().decode(kv.value);

class Candidate implements Campaign {
  readonly finished: Promise<void>;
  readonly #store: Store;
  readonly #options: CampaignOptions;
  readonly #log: Log;
  readonly #resigning = new AbortController();
  readonly #ending: AbortSignal;
  #term: Term | undefined;
  /** The last lease we stood with. A key that hangs on it is ours, even if we never learnt so. */
  #lastLease: string | undefined;

  constructor(store: Store, options: CampaignOptions) {
    this.#store = store;
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#ending = AbortSignal.any([options.signal, this.#resigning.signal]);
    this.finished = this.#run();
  }

  get leadership(): Leadership | undefined {
    return this.#term?.signal.aborted === false ? this.#term : undefined;
  }

  async resign(): Promise<void> {
    this.#resigning.abort();
    await this.finished;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#ending.aborted) {
      try {
        if (!(await this.#untilVacant())) continue;
        const term = await this.#stand();
        if (term) await this.#serve(term);
      } catch (error) {
        if (!(error instanceof GantryError)) throw error;
        this.#log.warn({ cause: messageOf(error) }, 'cannot campaign; trying again');
        if (error.code === 'cancelled') return; // the store was closed
        await clock.sleep(retryMs, this.#ending).catch(() => {});
      }
    }
  }

  /** Resolves with true when the key was found absent; with false when it is time to look again. */
  async #untilVacant(): Promise<boolean> {
    const { key, identity, replaceOwn = false } = this.#options;
    const { kv, revision } = await this.#store.get(key);
    if (!kv) return true;
    if (kv.lease === this.#lastLease || (replaceOwn && identityOf(kv) === identity)) {
      const compare = [createRevisionIs(key, kv.createRevision)];
      await this.#store.transact({ compare, success: [deleteOf(key)] });
      return false;
    }
    await this.#untilDeleted(revision);
    return false;
  }

  /** Until the key is deleted; looks again after a while even without an event. */
  async #untilDeleted(revision: bigint): Promise<void> {
    const { key, ttlMs, clock } = this.#options;
    const patience = new AbortController();
    const timer = clock.schedule(Math.max(ttlMs(), 5000), () => patience.abort());
    const signal = AbortSignal.any([this.#ending, patience.signal]);
    try {
      for await (const batch of this.#store.watch(key, { fromRevision: revision + 1n, signal })) {
        if (batch.kind === 'compacted') return;
        if (batch.events.some((event) => event.key === key && event.type === 'delete')) return;
      }
    } finally {
      timer.cancel();
    }
  }

  /** Tries to create the key. */
  async #stand(): Promise<Term | undefined> {
    const { key, identity, ttlMs, clock } = this.#options;
    const sentMs = clock.monotonicMs();
    const askedMs = ttlMs();
    const lease = await this.#store.grantLease(askedMs);
    this.#lastLease = lease.id;
    try {
      const success = [putOf(key, new TextEncoder().encode(identity), lease.id)];
      const transaction = { compare: [absent(key)], success };
      const result = await transactOnce(this.#store, transaction, { clock, timeoutMs: lease.ttlMs });
      if (result.succeeded) return new Term(key, result.revision, { lease, sentMs, askedMs }, clock);
    } catch (error) {
      this.#giveBack(lease.id);
      throw error;
    }
    this.#giveBack(lease.id);
    return undefined;
  }

  async #serve(term: Term): Promise<void> {
    const { onElected, onLost } = this.#options;
    const resign = (): void => term.end('it resigned');
    this.#ending.addEventListener('abort', resign, { once: true });
    try {
      if (this.#ending.aborted) resign();
      if (term.signal.aborted) return;
      this.#term = term;
      this.#log.info({ createRevision: `${term.createRevision}` }, 'elected');
      onElected.call(this.#options, term);
      await this.#renew(term);
      this.#log.info({ createRevision: `${term.createRevision}`, reason: term.reason }, 'no longer the leader');
      await onLost.call(this.#options, term, term.reason);
    } finally {
      this.#term = undefined;
      term.end('its campaign ended');
      this.#ending.removeEventListener('abort', resign);
      const givenBack = this.#giveBack(term.lease.id);
      if (this.#ending.aborted) await givenBack;
    }
  }

  /**
   * Renews the lease until the term ends. A renewal that hangs, at a member of the store that has just died, holds up
   * no other: the next one may find the store well again while the term still lasts.
   */
  async #renew(term: Term): Promise<void> {
    const { clock, ttlMs } = this.#options;
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => {}); // nobody waits for it any more when the term is over
    while (!term.signal.aborted) {
      const pauseMs = Math.min(term.lease.ttlMs / 4, longestRenewalMs);
      await Promise.race([clock.sleep(pauseMs, term.signal).catch(() => {}), broken.promise]);
      if (ttlMs() !== term.askedMs) term.end(`its lease is to be ${ttlMs()} ms from now on`);
      if (!term.signal.aborted) this.#renewOnce(term).catch(broken.reject);
    }
  }

  async #renewOnce(term: Term): Promise<void> {
    const { key, clock } = this.#options;
    const sentMs = clock.monotonicMs();
    try {
      const [leaseMs, { kv }] = await Promise.all([this.#store.keepAliveLease(term.lease.id), this.#store.get(key)]);
      if (kv?.createRevision !== term.createRevision) term.end('its key was taken away');
      else term.extend(sentMs + leaseMs);
    } catch (error) {
      if (!(error instanceof GantryError)) throw error;
      if (error.code === 'notFound') term.end('its lease had expired');
      else if (error.code === 'cancelled') term.end('the store was closed');
      else this.#log.warn({ cause: messageOf(error) }, 'cannot renew the leadership; trying again');
    }
  }

  /** Best effort: a lease nobody renews ends by itself. */
  #giveBack(lease: string): Promise<void> {
    return this.#store.revokeLease(lease).catch((error) => {
      this.#log.info({ cause: messageOf(error) }, 'could not revoke the lease; it will expire');
    });
  }
}
