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
const keptMs = 20_000;
/** Events that are looked through before others may run. */
const mostAtOnce = 1000;

export class RecentEvents {
  #events: WatchEvent[] = [];
  #since = 0n;
  #revision = 0n;
  /** How often it began anew. */
  #beginnings = 0;
  /** So many of the events were here already at that time. */
  #marked = 0;
  #markedMs = Number.NEGATIVE_INFINITY;
  readonly #change = new NextChange();

  /** Nothing is known of how it came to this revision. */
  reset(revision: bigint): void {
    this.#events = [];
    this.#marked = 0;
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
    if (monotonicMs - this.#markedMs > keptMs) {
      this.#forget(this.#marked);
      this.#marked = this.#events.length;
      this.#markedMs = monotonicMs;
    }
    this.#change.tell();
  }

  /** As `store.watch`, which is asked for what lies further back. What is not here yet will come by the mirror. */
  async *watch(
    store: Store,
    prefix: string,
    { fromRevision, signal }: WatchOptions,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    let position = fromRevision - 1n;
    let beginnings = this.#beginnings;
    while (!signal.aborted) {
      // Ahead of a list: the store was set back, and says so.
      const isAhead = position > this.#revision && this.#beginnings !== beginnings;
      if (position < this.#since || isAhead) {
        for await (const batch of store.watch(prefix, { fromRevision: position + 1n, signal })) {
          yield batch;
          if (batch.kind === 'compacted') return;
          position = batch.revision;
          if (position >= this.#since) break;
        }
        beginnings = this.#beginnings;
      } else if (position >= this.#revision) {
        await this.#change.wait(signal);
      } else {
        const { events, revision } = this.#after(position);
        position = revision;
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

  #forget(count: number): void {
    const end = this.#wholeUntil(count);
    if (end === 0) return;
    this.#since = this.#events[end - 1]!.modRevision;
    this.#events = this.#events.slice(end);
    this.#marked = Math.max(0, this.#marked - end);
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
