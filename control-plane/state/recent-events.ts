/**
 * The newest events of the mirror's watch, kept for those who follow along (watchers of the API): they are given what has
 * arrived once, instead of each asking the store to read and send it again.
 *
 * Invariant: after `#since` it holds every event of an object in the store, in the order of revisions, whole revisions only. When the
 * mirror listed again, and so does not know them one by one, it begins anew.
 */
import { firstWhere } from '../../lib/binary-search.ts';
import { storeRoot } from '../../lib/model/keys.ts';
import { findKind } from '../../lib/model/schema.ts';
import { NextChange } from '../../lib/next-change.ts';
import type { Store, WatchBatch, WatchEvent, WatchOptions } from '../../lib/store/store.ts';
import { storeWith } from '../../lib/store/store-with.ts';

/** Each holds on to an older version of an object, a kilobyte or two; after a burst no longer than twice this. */
const mostKept = 32_768;
/** For those who follow along but are behind. */
const keptMs = 20_000;
/** For those who come: they have listed just now. What is forgotten so soon costs V8 nothing, its memory is still young. */
const markEveryMs = 500;
/** Events that are looked through before others may run. */
const mostAtOnce = 1000;

export class RecentEvents {
  #events: WatchEvent[] = [];
  #since = 0n;
  #revision = 0n;
  /** How often it began anew. */
  #beginnings = 0;
  /** What had come by when, the oldest first. */
  #marks: { readonly ms: number; readonly revision: bigint }[] = [];
  /** How far those who follow along are. */
  readonly #readers = new Set<{ position: bigint }>();
  readonly #change = new NextChange();

  /** Nothing is known of how it came to this revision. */
  reset(revision: bigint): void {
    this.#events = [];
    this.#marks = [];
    this.#since = revision;
    this.#revision = revision;
    this.#beginnings += 1;
    this.#change.tell();
  }

  /** All events of objects up to the revision. */
  append(events: readonly WatchEvent[], revision: bigint, monotonicMs: number): void {
    for (const event of events) this.#events.push(event);
    this.#revision = revision;
    if (this.#events.length > 2 * mostKept) this.#forget(this.#events.length - mostKept);
    if (monotonicMs - (this.#marks.at(-1)?.ms ?? Number.NEGATIVE_INFINITY) > markEveryMs) {
      this.#forgetOld(monotonicMs);
      this.#marks.push({ ms: monotonicMs, revision });
    }
    this.#change.tell();
  }

  /** As `store.watch`, which is asked for what lies further back. What is not here yet will come by the mirror. */
  async *watch(
    store: Store,
    prefix: string,
    { fromRevision, signal }: WatchOptions,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    const reader = { position: fromRevision - 1n };
    this.#readers.add(reader);
    try {
      yield* this.#read(reader, store, prefix, signal);
    } finally {
      this.#readers.delete(reader);
    }
  }

  async *#read(
    reader: { position: bigint },
    store: Store,
    prefix: string,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    let beginnings = this.#beginnings;
    while (!signal.aborted) {
      const { position } = reader;
      // Ahead of a list: the store was set back, and says so.
      const isAhead = position > this.#revision && this.#beginnings !== beginnings;
      if (position < this.#since || isAhead) {
        for await (const batch of store.watch(prefix, { fromRevision: position + 1n, signal })) {
          yield batch;
          if (batch.kind === 'compacted') return;
          reader.position = batch.revision;
          if (reader.position >= this.#since) break;
        }
        beginnings = this.#beginnings;
      } else if (position >= this.#revision) {
        await this.#change.wait(signal);
      } else {
        const { events, revision } = this.#after(position);
        reader.position = revision;
        const wanted = events.filter(({ key }) => key.startsWith(prefix));
        const last = wanted.at(-1);
        if (last) yield { kind: 'events', events: wanted, revision: last.modRevision };
      }
    }
  }

  #after(revision: bigint): { readonly events: readonly WatchEvent[]; readonly revision: bigint } {
    const start = this.#firstAfter(revision);
    const end = this.#wholeUntil(start + mostAtOnce);
    const isAll = end === this.#events.length;
    return {
      events: this.#events.slice(start, end),
      revision: isAll ? this.#revision : this.#events[end - 1]!.modRevision,
    };
  }

  /** What nobody is behind, and what is older than anybody may be behind. */
  #forgetOld(nowMs: number): void {
    let slowest = this.#revision;
    for (const { position } of this.#readers) if (position < slowest) slowest = position;
    const old = this.#marks.filter(({ ms, revision }) => revision <= slowest || nowMs - ms > keptMs);
    this.#marks = this.#marks.slice(old.length);
    const last = old.at(-1);
    if (last) this.#forget(this.#firstAfter(last.revision));
  }

  #forget(count: number): void {
    const end = this.#wholeUntil(count);
    if (end === 0) return;
    this.#since = this.#events[end - 1]!.modRevision;
    this.#events = this.#events.slice(end);
  }

  /** Position of the first event after the revision. */
  #firstAfter(revision: bigint): number {
    return firstWhere(this.#events.length, (position) => this.#events[position]!.modRevision > revision);
  }

  /** The first position from `position` on that parts no revision. */
  #wholeUntil(position: number): number {
    const events = this.#events;
    let end = Math.min(position, events.length);
    while (end > 0 && end < events.length && events[end]!.modRevision === events[end - 1]!.modRevision) end += 1;
    return end;
  }
}

/** The same store, whose watches are served from the mirror's newest events. */
export function withRecentEvents(store: Store, recent: RecentEvents): Store {
  return storeWith(store, {
    watch: (prefix, options) =>
      isOfObjects(prefix) ? recent.watch(store, prefix, options) : store.watch(prefix, options),
  });
}

/** Leader, tokens and allocations are not among what is kept. */
function isOfObjects(prefix: string): boolean {
  const [plural = '', ...rest] = prefix.startsWith(storeRoot) ? prefix.slice(storeRoot.length).split('/') : [];
  return rest.length > 0 && findKind(plural)?.plural === plural;
}
