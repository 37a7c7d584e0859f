/**
 * How far one watch is, and its next message. Pure state.
 *
 * `resourceVersion` of a message is where a reader that has it may resume: inside a revision that changed several
 * objects that is the revision before, so that a resumed watch repeats rather than loses. A watch that changes its
 * source in the middle of a revision repeats nothing: it counts what it has handed on of it.
 */
import type { WatchEvent } from '../../proto/gen/types.ts';
import type { Selection } from './selectors.ts';
import type { SharedEvent } from './watch-events.ts';

export class Delivery {
  readonly selection: Selection;
  /** Everything up to here was handed on. */
  after: bigint;
  /** Of this revision, so many. */
  #partly = { revision: 0n, handed: 0 };
  /** Of that revision, those seen again from another source. */
  #seenAgain = 0;

  constructor(selection: Selection, after: bigint) {
    this.selection = selection;
    this.after = after;
  }

  /** Events come from another source from now on, from the first one after `after`. */
  begin(): void {
    this.#seenAgain = 0;
  }

  /** The source has shown everything up to a revision, whether it was this watch's or not. */
  reached(revision: bigint): void {
    if (revision > this.after) this.after = revision;
  }

  /** The message of an event, `following` being those after it; undefined when it is none of this watch's. */
  take(event: SharedEvent, following: (index: number) => SharedEvent | undefined): WatchEvent | undefined {
    const { revision } = event;
    if (revision <= this.after) return undefined;
    const translated = event.translate(this.selection);
    if (!translated) return undefined;
    if (revision === this.#partly.revision && this.#seenAgain < this.#partly.handed) {
      this.#seenAgain += 1;
      return undefined;
    }
    const isLast = !this.#continues(revision, following);
    const handed = revision === this.#partly.revision ? this.#partly.handed + 1 : 1;
    this.#partly = { revision, handed };
    this.#seenAgain = handed;
    this.after = isLast ? revision : revision - 1n;
    return event.message(translated, this.after);
  }

  /** Whether more of this revision is this watch's. */
  #continues(revision: bigint, following: (index: number) => SharedEvent | undefined): boolean {
    for (let index = 0; ; index += 1) {
      const next = following(index);
      if (next?.revision !== revision) return false;
      if (next.translate(this.selection)) return true;
    }
  }
}
