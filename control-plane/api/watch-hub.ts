/**
 * One watch of the store for all clients that watch the same objects.
 *
 * Invariants
 * - What waits for slow clients is one ring of the newest events, shared and bounded in number and bytes: a client that
 *   does not read costs nothing but its place.
 * - A client whose place has left the ring reads on from the store by itself, at its own pace, until it is back in the
 *   ring. Nothing is left out and nothing repeated.
 * - A client that has left the ring and has not read for `stallMs` is told where to resume, and its watch ends.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Store } from '../../lib/store/store.ts';
import type { WatchEvent } from '../../proto/gen/types.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import type { Delivery } from './watch-delivery.ts';
import { SharedEvent } from './watch-events.ts';

export interface HubOptions {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly prefix: string;
  /** Everything after this revision is to be seen. */
  readonly from: bigint;
  /** How long a client may not read before its watch ends. Default 30,000 ms. */
  readonly stallMs?: number | undefined;
}

export interface Client {
  readonly delivery: Delivery;
  /** Events in one message. */
  readonly most: number;
  readonly signal: AbortSignal;
  /** Ends the call of a client that does not even ask for more. */
  readonly fail?: ((error: GantryError) => void) | undefined;
}

interface Reader extends Client {
  /** Of its next event, counted from the hub's first one. */
  at: number;
  /** Since when the client has not asked for more. */
  notReadSinceMs: number | undefined;
  readonly onAbort: () => void;
  wake(): void;
}

const outsideTheRing = -1;

export const mostWaiting = 1000;
const mostWaitingBytes = 4 * 2 ** 20;
export const defaultStallMs = 30_000;
/** Other programs' gRPC takes four megabytes a message unless told otherwise. */
const mostBytesTogether = 256 * 1024;

export class WatchHub {
  readonly #options: HubOptions;
  readonly #ending = new AbortController();
  readonly #readers = new Set<Reader>();
  #ring: SharedEvent[] = [];
  #bytes = 0;
  /** The place of the ring's first event. */
  #begin = 0;
  /** All events after this revision, as far as they are here, are in the ring. */
  #floor: bigint;
  #over: { readonly error?: unknown } | undefined;
  #check: Timer | undefined;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#floor = options.from;
    void this.#pump().then(
      () => this.#end({}),
      (error: unknown) => this.#end({ error }),
    );
    this.#checkLater();
  }

  /** Whether a client that has everything up to `revision` can read from the ring. */
  covers(revision: bigint): boolean {
    return revision >= this.#floor;
  }

  /** Ends without an error when the client's place has left the ring, and when its signal is aborted. */
  async *follow(client: Client): AsyncGenerator<WatchEvent, void, undefined> {
    const { delivery, signal, most } = client;
    const reader = this.#begins(client, this.#placeAfter(delivery.after));
    const waiting = new Together(most);
    try {
      while (!signal.aborted) {
        if (reader.at < this.#begin) return;
        const event = this.#ring[reader.at - this.#begin];
        if (!event) {
          if (this.#over) throw this.#over.error ?? new GantryError('unavailable', 'the watch of the store has ended');
          await new Promise<void>((resolve) => (reader.wake = resolve));
          continue;
        }
        const following = (index: number) => this.#ring[reader.at - this.#begin + 1 + index];
        const isLastOfRevision = following(0)?.revision !== event.revision;
        const message = delivery.take(event, following);
        reader.at += 1;
        if (message) waiting.add(message, event.bytes);
        const comesMore = this.#ring[reader.at - this.#begin] !== undefined;
        if (waiting.isFull || !comesMore) yield* this.#handOn(reader, waiting.take());
        if (isLastOfRevision) delivery.reached(event.revision);
      }
    } finally {
      this.#ends(reader);
    }
  }

  /** Past the ring, from the store, until the client can follow. The store holds back what the client does not read. */
  async *catchUp(client: Client): AsyncGenerator<WatchEvent, void, undefined> {
    const { store, codec, prefix } = this.#options;
    const { delivery, signal, most } = client;
    const from = delivery.after;
    const reader = this.#begins(client, outsideTheRing);
    try {
      for await (const batch of store.watch(prefix, { fromRevision: from + 1n, signal })) {
        if (batch.kind === 'compacted') throw compactedError(from, batch.compactRevision);
        const events = batch.events.map((event) => new SharedEvent(event, codec));
        const waiting = new Together(most);
        for (const [index, event] of events.entries()) {
          const message = delivery.take(event, (offset) => events[index + 1 + offset]);
          if (message) waiting.add(message, event.bytes);
          if (waiting.isFull || index === events.length - 1) yield* this.#handOn(reader, waiting.take());
        }
        delivery.reached(batch.revision);
        if (this.covers(batch.revision)) return;
      }
    } finally {
      this.#ends(reader);
    }
  }

  #begins(client: Client, at: number): Reader {
    client.delivery.begin();
    const onAbort = (): void => reader.wake();
    const reader: Reader = { ...client, at, notReadSinceMs: undefined, onAbort, wake() {} };
    client.signal.addEventListener('abort', onAbort, { once: true });
    this.#readers.add(reader);
    return reader;
  }

  #ends(reader: Reader): void {
    reader.signal.removeEventListener('abort', reader.onAbort);
    this.#readers.delete(reader);
  }

  *#handOn(reader: Reader, message: WatchEvent | undefined): Generator<WatchEvent, void, undefined> {
    if (!message) return;
    reader.notReadSinceMs = this.#options.clock.monotonicMs();
    yield message;
    const error = this.#whyStalled(reader);
    if (error) throw error;
    reader.notReadSinceMs = undefined;
  }

  get #stallMs(): number {
    return this.#options.stallMs ?? defaultStallMs;
  }

  /** It has ended by itself, and serves nobody new. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  close(): void {
    this.#check?.cancel();
    this.#ending.abort(new GantryError('cancelled', 'nobody watches any more'));
  }

  async #pump(): Promise<void> {
    const { store, codec, prefix, from } = this.#options;
    const { signal } = this.#ending;
    for await (const batch of store.watch(prefix, { fromRevision: from + 1n, signal })) {
      if (batch.kind === 'compacted') throw compactedError(from, batch.compactRevision);
      for (const event of batch.events) this.#put(new SharedEvent(event, codec));
      this.#tell();
    }
  }

  #put(event: SharedEvent): void {
    this.#ring.push(event);
    this.#bytes += event.bytes;
    while (this.#ring.length > 1 && (this.#ring.length > mostWaiting || this.#bytes > mostWaitingBytes)) {
      const oldest = this.#ring.shift()!;
      this.#bytes -= oldest.bytes;
      this.#floor = oldest.revision;
      this.#begin += 1;
    }
  }

  #end(over: { readonly error?: unknown }): void {
    this.#over = over;
    this.#check?.cancel();
    this.#tell();
  }

  #tell(): void {
    for (const reader of this.#readers) reader.wake();
  }

  /** The first event after a revision, or the next one to come. */
  #placeAfter(revision: bigint): number {
    const index = this.#ring.findIndex((event) => event.revision > revision);
    return this.#begin + (index < 0 ? this.#ring.length : index);
  }

  #checkLater(): void {
    this.#check = this.#options.clock.schedule(this.#stallMs / 3, () => {
      for (const reader of this.#readers) {
        const error = this.#whyStalled(reader);
        if (error) reader.fail?.(error);
      }
      this.#checkLater();
    });
  }

  #whyStalled({ at, notReadSinceMs, delivery }: Reader): GantryError | undefined {
    if (notReadSinceMs === undefined || at >= this.#begin) return undefined;
    const silentMs = this.#options.clock.monotonicMs() - notReadSinceMs;
    if (silentMs < this.#stallMs) return undefined;
    const message = `this watch was not read for ${Math.round(silentMs / 1000)} s while more events came than are kept for it`;
    return new GantryError('resourceExhausted', `${message}; resume from revision ${delivery.after}`);
  }
}

/** Events that share a message. */
class Together {
  readonly #most: number;
  #events: WatchEvent[] = [];
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get isFull(): boolean {
    return this.#events.length >= this.#most || this.#bytes >= mostBytesTogether;
  }

  add(event: WatchEvent, bytes: number): void {
    this.#events.push(event);
    this.#bytes += bytes;
  }

  /** Undefined when there is none. */
  take(): WatchEvent | undefined {
    const [first, ...following] = this.#events;
    this.#events = [];
    this.#bytes = 0;
    return first && following.length > 0 ? { ...first, following } : first;
  }
}

export function compactedError(from: bigint, compactRevision: bigint): GantryError {
  const message = `changes after revision ${from} are no longer kept (compacted up to ${compactRevision})`;
  return new GantryError('outOfRange', `${message}; list again and watch from there`);
}
