/**
 * What one agent is told of its slice: everything at first, then differences. Nothing is queued: a difference is made
 * against what was sent last, at the moment the stream takes the next message.
 */
import { keyOf } from '../../lib/model/keys.ts';
import type { KubeObject, SessionDown, SharedPosition, Slice } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import type { SharedSlice } from './shared-slice.ts';
import { completeMessage, differenceMessage, ownSlice, sliceDifference } from './slice.ts';

export interface SliceFeedOptions {
  readonly nodeName: string;
  readonly snapshot: Snapshot;
  readonly shared: SharedSlice;
  /** Whether the agent puts the parts of a complete slice together. */
  readonly inParts: boolean;
  /** How far the agent had read the shared part when it came. */
  readonly known?: SharedPosition;
}

export class SliceFeed {
  readonly #options: SliceFeedOptions;
  #known: SharedPosition | undefined;
  /** Undefined: the complete slice is still to be sent. */
  #own: Map<string, KubeObject> | undefined;
  /** The parts of a complete slice that go before its last one; undefined before it begins. */
  #parts: SessionDown[] | undefined;
  #position = 0;
  #touched = new Set<string>();

  constructor(options: SliceFeedOptions) {
    this.#options = options;
    this.#known = options.known;
  }

  /** A write that this agent has to learn of: its pod, or what one of its pods names. */
  touch(key: string): void {
    this.#touched.add(key);
  }

  /** Undefined when the agent knows everything. */
  next(): SessionDown | undefined {
    if (!this.#own) return this.#nextOfComplete();
    const { shared, snapshot, nodeName } = this.#options;
    const news = shared.since(this.#position);
    if (news === 'behind') {
      this.#own = undefined;
      return this.#nextOfComplete();
    }
    this.#position = shared.position;
    if (news) return news;
    if (this.#touched.size === 0) return undefined;
    const difference = sliceDifference(snapshot, nodeName, this.#own, this.#touched);
    this.#touched = new Set();
    for (const object of difference.changed) this.#own.set(keyOf(object), object);
    for (const object of difference.removed) this.#own.delete(keyOf(object));
    const slice = differenceMessage(difference, snapshot.revision);
    return slice && { slice };
  }

  #nextOfComplete(): SessionDown {
    const { shared, snapshot, inParts } = this.#options;
    const resumed = this.#known && shared.resumable(this.#known);
    this.#known = undefined;
    if (resumed !== undefined) {
      this.#position = resumed;
      return this.#lastOfComplete({ ...completeMessage(this.#takeOwn(), [], snapshot.revision), keepsShared: true });
    }
    if (!this.#parts) {
      this.#parts = inParts ? [...shared.pages()] : [];
      this.#position = shared.position;
    }
    const part = this.#parts.shift();
    if (part) return part;
    this.#parts = undefined;
    if (!inParts) this.#position = shared.position;
    return this.#lastOfComplete(completeMessage(this.#takeOwn(), inParts ? [] : shared.objects, snapshot.revision));
  }

  #lastOfComplete(slice: Slice): SessionDown {
    return { slice: { ...slice, shared: this.#options.shared.named(this.#position) } };
  }

  #takeOwn(): Map<string, KubeObject> {
    this.#own = ownSlice(this.#options.snapshot, this.#options.nodeName);
    this.#touched = new Set();
    return this.#own;
  }
}
