/**
 * Writes Events: what the system did on its own, in a sentence. Best effort, never in anyone's way.
 *
 * - The same sentence about the same object is one Event with a count; repeated at once it is written only every few
 *   seconds, so that a loop cannot flood the store.
 * - Events wait in memory, are written many to a transaction, and are dropped (and said so) when the store stays away.
 * - Only the leader's Events land when a fence is given.
 */
import { createHash } from 'node:crypto';
import { type Clock, timestamp } from '../../lib/clock.ts';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { objectKey } from '../../lib/model/keys.ts';
import { referenceTo } from '../../lib/model/object.ts';
import { type Compare, putOf, type Store } from '../../lib/store/store.ts';
import type { Event, KubeObject, ObjectReference } from '../../proto/gen/types.ts';
import type { ClusterState } from './cluster-state.ts';
import type { ObjectCodec } from './object-codec.ts';

export interface EventRecord {
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
  readonly about: KubeObject | ObjectReference;
}

export interface EventRecorder {
  /** Returns at once. `component` defaults to the recorder's. */
  record(event: EventRecord, component?: string): void;
  /** Resolves when what was recorded so far is written or given up. */
  flush(): Promise<void>;
  /** Nothing is written any more. */
  stop(): void;
}

export interface EventRecorderOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly log: Log;
  readonly component: string;
  readonly fence?: Compare;
}

interface Waiting {
  readonly key: string;
  event: Event;
  times: number;
}

const mostWaiting = 2000;
const mostPerTransaction = 100;
const mostAttempts = 5;
const retryMs = 500;
/** The same Event is written at most once in this time. */
const repeatMs = 5000;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #waiting = new Map<string, Waiting>();
  /** When each key was last written, for as long as a repetition must wait. */
  readonly #writtenMs = new Map<string, number>();
  #flushing: Promise<void> | undefined;
  #dropped = 0;
  #stopped = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  record(record: EventRecord, component = this.#options.component): void {
    if (this.#stopped) return;
    const event = newEvent(record, component, this.#options.clock.nowMs());
    const key = objectKey('Event', event.metadata.namespace, event.metadata.name);
    const waiting = this.#waiting.get(key);
    if (waiting) {
      waiting.times += 1;
      waiting.event = event;
      return;
    }
    if (this.#waiting.size >= mostWaiting) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.set(key, { key, event, times: 1 });
    const sinceMs = this.#options.clock.monotonicMs() - (this.#writtenMs.get(key) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs >= repeatMs) this.#flushSoon();
    else this.#options.clock.schedule(repeatMs - sinceMs, () => this.#flushSoon());
  }

  async flush(): Promise<void> {
    this.#flushSoon();
    await this.#flushing;
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  #flushSoon(): void {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
  }

  async #flush(): Promise<void> {
    await Promise.resolve(); // whoever records several in one go gets one transaction
    for (let batch = this.#due(); batch.length > 0; batch = this.#due()) await this.#write(batch);
    if (this.#dropped > 0) {
      this.#options.log.warn({ dropped: this.#dropped }, 'too many events at once; some were not written');
      this.#dropped = 0;
    }
  }

  #due(): Waiting[] {
    if (this.#stopped) return [];
    const nowMs = this.#options.clock.monotonicMs();
    const isDue = ({ key }: Waiting): boolean => nowMs - (this.#writtenMs.get(key) ?? -repeatMs) >= repeatMs;
    const due = [...this.#waiting.values()].filter(isDue).slice(0, mostPerTransaction);
    for (const { key } of due) this.#waiting.delete(key);
    return due;
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const { store, codec, clock, log, fence } = this.#options;
    const success = batch
      .filter(({ event }) => this.#namespaceExists(event))
      .map((waiting) => putOf(waiting.key, codec.encode(this.#merged(waiting))));
    this.#remember(batch);
    if (success.length === 0) return;
    for (let attempt = 1; attempt <= mostAttempts && !this.#stopped; attempt += 1) {
      try {
        const { succeeded } = await store.transact({ compare: fence ? [fence] : [], success });
        if (!succeeded) this.stop();
        return;
      } catch (error) {
        if (!(error instanceof GantryError)) throw error;
        log.debug({ cause: messageOf(error), attempt }, 'cannot write events');
        await clock.sleep(retryMs);
      }
    }
    if (!this.#stopped) this.#dropped += success.length;
  }

  /** An Event in a namespace that is gone would stay there with nobody to see it. */
  #namespaceExists({ metadata: { namespace } }: Event): boolean {
    return namespace === 'default' || this.#options.state.get('Namespace', undefined, namespace ?? '') !== undefined;
  }

  #merged({ key, event, times }: Waiting): Event {
    const before = this.#options.state.byKey(key);
    if (before?.kind !== 'Event') return { ...event, count: times };
    const { firstTimestamp = event.firstTimestamp } = before;
    return {
      ...event,
      metadata: before.metadata,
      count: (before.count ?? 1) + times,
      ...(firstTimestamp !== undefined && { firstTimestamp }),
    };
  }

  #remember(batch: readonly Waiting[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const { key } of batch) {
      this.#writtenMs.delete(key); // so that the order of the map is that of time
      this.#writtenMs.set(key, nowMs);
    }
    for (const [key, writtenMs] of this.#writtenMs) {
      if (nowMs - writtenMs < repeatMs) break;
      this.#writtenMs.delete(key);
    }
  }
}

/** An Event with its own name: the same sentence about the same object is the same Event. */
export function newEvent(record: EventRecord, component: string, nowMs: number, host?: string): Event {
  const about = 'metadata' in record.about ? referenceTo(record.about) : record.about;
  const identity = [about.uid ?? '', about.kind ?? '', record.type, record.reason, record.message, component];
  const hash = createHash('sha256').update(identity.join('\0')).digest('hex').slice(0, 16);
  const now = timestamp(nowMs);
  const name = `${about.name ?? 'cluster'}.${hash}`;
  const { resourceVersion: _changing, ...involvedObject } = about;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: about.namespace ?? 'default', uid: uidFrom(hash + name), creationTimestamp: now },
    involvedObject,
    type: record.type,
    reason: record.reason,
    message: record.message,
    source: { component, ...(host !== undefined && { host }) },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
}

/** RFC 9562 version 8: an identity made from what it identifies. */
function uidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
