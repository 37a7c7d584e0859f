/**
 * Writes Events, best effort: a lost event is logged and never holds up the one who said it. Repetitions raise the
 * count of the Event that is there. Several per transaction, one transaction at a time.
 *
 * Only leaders have something to say, and every transaction compares the term: what a deposed one says is dropped.
 */
import type { Clock } from '../../lib/clock.ts';
import { timestamp } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { decodeObject, encodeObject } from '../../lib/model/codec.ts';
import { type EventFacts, newEvent, repeatedEvent } from '../../lib/model/event.ts';
import { keyOf } from '../../lib/model/keys.ts';
import type { Random } from '../../lib/random.ts';
import { absent, type Compare, getOf, type KeyValue, modRevisionIs, putOf, type Store } from '../../lib/store/store.ts';
import type { Event } from '../../proto/gen/types.ts';

export interface EventRecorder {
  record(facts: EventFacts): void;
  /** Events that an agent reported, already built. */
  add(event: Event): void;
  /** Resolves when everything recorded so far is written or given up. */
  flush(): Promise<void>;
}

/** Beyond this the oldest waiting are dropped: events must not become the load that they report. */
const maxWaiting = 2_000;
const perTransaction = 50;
/** A burst arrives in many messages; nobody waits for an event. */
const gatherMs = 100;
const attempts = 4;

export interface EventRecorderParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Of the newest term; absent in tests of a single writer. */
  readonly fence?: () => Compare | undefined;
}

export function createEventRecorder({ store, clock, random, log, ...rest }: EventRecorderParts): EventRecorder {
  let waiting = new Map<string, Event>();
  let writing: Promise<void> | undefined;
  let hurry = Promise.withResolvers<void>();

  const add = (event: Event): void => {
    const key = keyOf(event);
    const before = waiting.get(key);
    waiting.set(key, before ? repeatedEvent(before, event) : event);
    if (waiting.size > maxWaiting) waiting.delete(waiting.keys().next().value!);
    writing ??= writeAll().finally(() => {
      writing = undefined;
    });
  };

  const writeAll = async (): Promise<void> => {
    while (waiting.size > 0) {
      const gathered = Promise.withResolvers<void>();
      const timer = clock.schedule(gatherMs, gathered.resolve);
      await Promise.race([gathered.promise, hurry.promise]);
      timer.cancel();
      const batch = [...waiting].slice(0, perTransaction);
      waiting = new Map([...waiting].slice(perTransaction));
      await write(batch).catch((error) => log.warn({ lost: batch.length }, `events not written: ${messageOf(error)}`));
    }
  };

  /** Most events are new, so that is tried first; a transaction that fails tells which are not. */
  const write = async (batch: readonly (readonly [string, Event])[]): Promise<void> => {
    const fence = rest.fence?.();
    let found: readonly (KeyValue | undefined)[] = [];
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const unchanged = batch.map(([key], index) => {
        const kv = found[index];
        return kv ? modRevisionIs(key, kv.modRevision) : absent(key);
      });
      const { succeeded, responses } = await store.transact({
        compare: fence ? [fence, ...unchanged] : unchanged,
        success: batch.map(([key, event], index) => {
          const kv = found[index];
          return putOf(key, encodeObject(kv ? repeatedEvent(decodeObject('Event', kv.value), event) : created(event)));
        }),
        failure: [...batch.map(([key]) => key), ...(fence ? [fence.key] : [])].map(getOf),
      });
      if (succeeded) return;
      found = responses.map((response) => (response.kind === 'get' ? response.kv : undefined));
      if (fence && fence.value !== (found[batch.length]?.createRevision ?? 0n)) {
        log.info({ lost: batch.length }, 'events not written: another control plane leads');
        return;
      }
    }
    log.warn({ lost: batch.length }, 'events not written: others kept changing them');
  };

  const created = (event: Event): Event => ({
    ...event,
    metadata: { ...event.metadata, uid: random.uuid(), creationTimestamp: timestamp(clock.nowMs()) },
  });

  return {
    add,
    record: (facts) => add(newEvent(facts, clock.nowMs())),
    flush: async () => {
      hurry.resolve();
      while (writing) await writing;
      hurry = Promise.withResolvers();
    },
  };
}
