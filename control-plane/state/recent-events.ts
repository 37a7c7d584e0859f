/**
 * The newest events of the mirror's watch, kept for those who follow along (watchers of the API): they are given what has
 * arrived once, instead of each asking the store to read and send it again.
 *
 * Invariant: after `#since` it holds every event of the store, in the order of revisions, whole revisions only. When the
 * mirror listed again, and so does not know them one by one, it begins anew.
 */
import type { Store, WatchBatch, WatchEvent, WatchOptions } from '../../lib/store/store.ts';

/** Each holds on to an older version of an object, a kilobyte or two. */
const mostKept = 16_384;
/** Events that are looked through before others may run. */
const mostAtOnce = 1000;

export class RecentEvents {
  #events: WatchEvent[] = [];
  #since = 0n;
  #revision = 0n;
  readonly #waiting = new Set<() => void>();

  /** Nothing is known of how it came to this revision. */
  reset(revision: bigint): void {
    this.#events = [];
    this.#since = revision;
    this.#revision = revision;
    this.#wake();
  }

  append(events: readonly WatchEvent[], revision: bigint): void {
    for (const event of events) this.#events.push(event);
    this.#revision = revision;
    if (this.#events.length > 2 * mostKept) this.#forget(this.#events.length - mostKept);
    this.#wake();
  }

  /** As `store.watch`, which is asked for what lies further back or is not here yet. */
  async *watch(
    store: Store,
    prefix: string,
    { fromRevision, signal }: WatchOptions,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    let position = fromRevision - 1n;
    while (!signal.aborted) {
      const recent = this.#after(position);
      if (!recent) {
        for await (const batch of store.watch(prefix, { fromRevision: position + 1n, signal })) {
          yield batch;
          if (batch.kind === 'compacted') return;
          position = batch.revision;
          if (this.#knows(position)) break;
        }
      } else if (recent.revision === position) {
        await this.#more(position, signal);
      } else {
        position = recent.revision;
        const events = recent.events.filter(({ key }) => key.startsWith(prefix));
        const last = events.at(-1);
        if (last) yield { kind: 'events', events, revision: last.modRevision };
      }
    }
  }

  /** A revision that the mirror has not reached is none of these: of a store that was set back, it may never come. */
  #knows(revision: bigint): boolean {
    return revision >= this.#since && revision <= this.#revision;
  }

  #after(revision: bigint): { readonly events: readonly WatchEvent[]; readonly revision: bigint } | undefined {
    if (!this.#knows(revision)) return undefined;
    const start = this.#firstAfter(revision);
    const end = this.#wholeUntil(start + mostAtOnce);
    const isAll = end === this.#events.length;
    return {
      events: this.#events.slice(start, end),
      revision: isAll ? this.#revision : this.#events[end - 1]!.modRevision,
    };
  }

  /** Resolves when there is more than up to this revision, or other than that, or the signal is aborted. */
  #more(revision: bigint, signal: AbortSignal): Promise<void> {
    if (this.#revision !== revision || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #forget(count: number): void {
    const end = this.#wholeUntil(count);
    this.#since = this.#events[end - 1]!.modRevision;
    this.#events = this.#events.slice(end);
  }

  /** Position of the first event after the revision. */
  #firstAfter(revision: bigint): number {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle]!.modRevision > revision) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The first position from `position` on that parts no revision. */
  #wholeUntil(position: number): number {
    const events = this.#events;
    let end = Math.min(position, events.length);
    while (end > 0 && end < events.length && events[end]!.modRevision === events[end - 1]!.modRevision) end += 1;
    return end;
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}

/** The same store, whose watches are served from the mirror's newest events. */
export function withRecentEvents(store: Store, recent: RecentEvents): Store {
  return {
    watch: (prefix, options) => recent.watch(store, prefix, options),
    get: (key, options) => store.get(key, options),
    list: (prefix, options) => store.list(prefix, options),
    transact: (transaction) => store.transact(transaction),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    keepAliveLease: (id) => store.keepAliveLease(id),
    revokeLease: (id) => store.revokeLease(id),
    compact: (revision) => store.compact(revision),
    status: () => store.status(),
    close: () => store.close(),
  };
}
