/**
 * A mirror of a prefix: one snapshot, then every change, however often the store restarts, goes away or compacts.
 *
 * After a compaction, or when the safety check finds the watch has missed something, the prefix is listed again and the
 * *difference* is handed on as events, so that the consumer never loses and never repeats a change of state (changes
 * that undid each other in between are not seen). A key deleted and created anew is a delete and then a put.
 */
import type { Clock } from '../clock.ts';
import { GantryError, messageOf } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import type { KeyValue, Store, WatchBatch, WatchEvent } from './store.ts';

export interface MirrorOptions {
  /** Once, first. The consumer's pace is the mirror's. */
  onSnapshot(items: readonly KeyValue[], revision: bigint): void | Promise<void>;
  /**
   * After that; `revision` is the one the mirror has now reached. Exact: these are all events up to there, one by one;
   * otherwise they are the difference between two lists.
   */
  onEvents(events: readonly WatchEvent[], revision: bigint, given: { readonly exact: boolean }): void | Promise<void>;
  /** The safety check found that the watch had missed this many changes; `onEvents` is about to deliver them. */
  onMissed?(count: number): void;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log?: Log;
  /** Between safety checks. Default 5 minutes. */
  readonly checkMs?: number;
  /** The consumer has no use for the former values that a new list brings along; they would take as much memory again. */
  readonly forgetValues?: boolean;
  /** How far the watch may lag behind a list before it counts as having missed something. Default 10 s. */
  readonly graceMs?: number;
}

const firstBackoffMs = 100;
const longestBackoffMs = 5000;
const nothing = new Uint8Array(0);

/** Runs until the signal is aborted, then resolves. Rejects with what a callback throws, or when the store is closed. */
export async function mirror(store: Store, prefix: string, options: MirrorOptions): Promise<void> {
  const { clock, signal, log = silentLog } = options;
  const state = new MirrorState(store, prefix, options);
  let backoffMs = firstBackoffMs;
  while (!signal.aborted) {
    try {
      await state.relist();
      backoffMs = firstBackoffMs;
      await state.follow();
    } catch (error) {
      if (signal.aborted) return;
      if (state.consumerFailed || !isPassing(error)) throw error;
      log.warn({ prefix, cause: messageOf(error), backoffMs }, 'cannot read the store; trying again');
      await clock.sleep(backoffMs, signal).catch(() => {});
      backoffMs = Math.min(longestBackoffMs, backoffMs * 2);
    }
  }
}

/** A refusal that will be the same next time, or a programmer's mistake, is not worth trying again. */
function isPassing(error: unknown): boolean {
  return error instanceof GantryError && error.code !== 'cancelled' && error.code !== 'invalidArgument';
}

class MirrorState {
  consumerFailed = false;
  readonly #store: Store;
  readonly #prefix: string;
  readonly #options: MirrorOptions;
  /** What the consumer knows. Undefined before the snapshot. */
  #known: Map<string, KeyValue> | undefined;
  #revision = 0n;

  constructor(store: Store, prefix: string, options: MirrorOptions) {
    this.#store = store;
    this.#prefix = prefix;
    this.#options = options;
  }

  /** Reads everything, and hands on what the consumer does not know yet. */
  async relist(): Promise<void> {
    const { items, revision } = await this.#store.list(this.#prefix);
    const listed = new Map(items.map((kv) => [kv.key, this.#kept(kv)]));
    const events = this.#known && difference(this.#known, new Map(items.map((kv) => [kv.key, kv])), revision);
    this.#known = listed;
    this.#revision = revision;
    if (!events) await this.#deliver(() => this.#options.onSnapshot(items, revision));
    else if (events.length > 0) await this.#deliver(() => this.#options.onEvents(events, revision, { exact: false }));
  }

  /** Follows the watch until it must be listed again or the signal is aborted. */
  async follow(): Promise<void> {
    const { clock, signal, checkMs = 300_000, graceMs = 10_000, onMissed, log = silentLog } = this.#options;
    const check = new AbortController();
    const ending = AbortSignal.any([signal, check.signal]);
    void this.#checkRegularly(ending, clock, checkMs, graceMs).then((missed) => {
      if (missed === 0 || ending.aborted) return;
      log.error({ prefix: this.#prefix, missed }, 'the watch missed changes; listing again');
      onMissed?.(missed);
      check.abort();
    });
    try {
      for await (const batch of this.#store.watch(this.#prefix, {
        fromRevision: this.#revision + 1n,
        signal: ending,
        previous: false,
      })) {
        if (batch.kind === 'compacted') return;
        await this.#apply(batch);
      }
    } finally {
      check.abort();
    }
  }

  async #apply(batch: Extract<WatchBatch, { kind: 'events' }>): Promise<void> {
    const events = batch.events.map((event): WatchEvent => {
      const previous = this.#known?.get(event.key);
      if (event.type === 'put') this.#known?.set(event.key, this.#kept(event.kv));
      else this.#known?.delete(event.key);
      return previous ? { ...event, previous } : event;
    });
    this.#revision = batch.revision;
    await this.#deliver(() => this.#options.onEvents(events, batch.revision, { exact: true }));
  }

  #kept(kv: KeyValue): KeyValue {
    return this.#options.forgetValues ? { ...kv, value: nothing } : kv;
  }

  async #deliver(call: () => void | Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      this.consumerFailed = true;
      throw error;
    }
  }

  /** Resolves with the number of changes the watch has missed, or 0 when `ending` is aborted. */
  async #checkRegularly(ending: AbortSignal, clock: Clock, checkMs: number, graceMs: number): Promise<number> {
    while (!ending.aborted) {
      try {
        await clock.sleep(checkMs, ending);
        const suspects = await this.#differing();
        if (suspects.size === 0) continue;
        // What the list knew and the watch did not, or the other way round, may just be under way.
        await clock.sleep(graceMs, ending);
        const still = await this.#differing();
        const missed = [...suspects].filter(([key, discord]) => still.get(key) === discord).length;
        if (missed > 0) return missed;
      } catch {
        // aborted, or the store is away: the watch will tell, or the next check
      }
    }
    return 0;
  }

  /** Keys whose listed revision is not the known one, each with both. */
  async #differing(): Promise<Map<string, string>> {
    const { items } = await this.#store.list(this.#prefix, { keysOnly: true });
    const listed = new Map(items.map((kv) => [kv.key, kv.modRevision]));
    const known = this.#known ?? new Map<string, KeyValue>();
    const differing = new Map<string, string>();
    for (const key of new Set([...listed.keys(), ...known.keys()])) {
      const seen = known.get(key)?.modRevision ?? 0n;
      const actual = listed.get(key) ?? 0n;
      if (seen !== actual) differing.set(key, `${seen} ${actual}`);
    }
    return differing;
  }
}

/** The events that lead from `known` to `listed`, in the order of keys. Deletions are dated with the list's revision. */
export function difference(
  known: ReadonlyMap<string, KeyValue>,
  listed: ReadonlyMap<string, KeyValue>,
  revision: bigint,
): WatchEvent[] {
  const events: WatchEvent[] = [];
  const keys = [...new Set([...known.keys(), ...listed.keys()])].sort();
  for (const key of keys) {
    const previous = known.get(key);
    const kv = listed.get(key);
    if (previous && previous.createRevision !== kv?.createRevision) {
      events.push({ type: 'delete', key, previous, modRevision: revision });
    }
    if (!kv || kv.modRevision === previous?.modRevision) continue;
    const sameLife = previous?.createRevision === kv.createRevision;
    events.push({ type: 'put', key, kv, ...(previous && sameLife && { previous }), modRevision: kv.modRevision });
  }
  return events;
}
