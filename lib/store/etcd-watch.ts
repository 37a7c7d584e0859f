/**
 * Our own watch on etcd's raw Watch stream; etcd3's loses events (it resumes from a header's revision) and wedges after
 * compaction. What this one guarantees, whatever happens to connections and members:
 *
 * - It resumes from the last event delivered, plus one. Headers and progress notifications are never trusted for that.
 * - Big batches come in fragments; a revision is handed on only when all its events are here.
 * - It reads a message only when the consumer asks for more. grpc-js then keeps at most 16, and HTTP/2 flow control
 *   holds the rest back in etcd.
 * - A silent stream is asked for a sign of life, and replaced when none comes.
 * - It asks for one revision more than wanted and drops that one's events. Compaction of the first wanted revision
 *   itself removes its deletions while etcd would still serve it; this way etcd says "compacted" instead.
 */
import type { IWatchRequest, IWatchResponse } from 'etcd3';
import type { Clock } from '../clock.ts';
import { GantryError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { EtcdClient } from './etcd-client.ts';
import { type WireEvent, watchEventOf, wireRange } from './etcd-codec.ts';
import type { EtcdEndpoint } from './etcd-endpoint.ts';
import { MessageReader, type MessageStream } from './message-reader.ts';
import type { WatchBatch, WatchEvent, WatchOptions } from './store.ts';

export interface EtcdWatchOptions extends WatchOptions {
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when the store is closed. */
  readonly closing: AbortSignal;
  readonly prefix: string;
}

/** How long a stream may take to be created, and to show a sign of life when asked. */
const answerTimeoutMs = 5000;
/** Silence after which a sign of life is asked for. */
const idleMs = 10_000;
const firstBackoffMs = 50;
const longestBackoffMs = 2000;

interface Position {
  /** The first revision not yet handed on. */
  next: bigint;
  /** Whether this stream got as far as being created; resets the backoff. */
  live: boolean;
}

export async function* watchEtcd(options: EtcdWatchOptions): AsyncGenerator<WatchBatch, void, undefined> {
  const { client, clock, log, closing, signal, prefix } = options;
  if (options.fromRevision < 1n) throw new GantryError('invalidArgument', 'a watch begins at revision 1 or later');
  const ending = AbortSignal.any([signal, closing]);
  const position: Position = { next: options.fromRevision, live: false };
  let backoffMs = firstBackoffMs;
  while (!ending.aborted) {
    const endpoint = client.current;
    position.live = false;
    try {
      for await (const batch of watchOnce(endpoint, options, position, ending)) {
        yield batch;
        if (batch.kind === 'compacted') return;
      }
    } catch (error) {
      if (ending.aborted) break;
      client.giveUpOn(endpoint);
      if (position.live) backoffMs = firstBackoffMs;
      log.info(
        { prefix, endpoint: endpoint.address, next: `${position.next}`, cause: messageOf(error) },
        'watch broke',
      );
      await clock.sleep(backoffMs, ending).catch(() => {});
      backoffMs = Math.min(longestBackoffMs, backoffMs * 2);
    }
  }
  if (closing.aborted && !signal.aborted) throw new GantryError('cancelled', 'the store was closed');
}

/** One stream, until it breaks (throws), is compacted away, or `ending` is aborted. */
async function* watchOnce(
  endpoint: EtcdEndpoint,
  { prefix, previous = true, clock }: EtcdWatchOptions,
  position: Position,
  ending: AbortSignal,
): AsyncGenerator<WatchBatch, void, undefined> {
  const stream = (await endpoint.client.watchClient.watch()) as unknown as MessageStream<IWatchRequest, IWatchResponse>;
  const reader = new MessageReader(stream, clock);
  const forget = endpoint.onGone((error) => reader.fail(error));
  let incomplete: WatchEvent[] = [];
  try {
    stream.write(createRequest(prefix, position.next, previous));
    while (!ending.aborted) {
      const response = await nextResponse(reader, stream, position.live, ending);
      if (!response) return;
      if (BigInt(response.compact_revision) > 0n) {
        yield { kind: 'compacted', compactRevision: BigInt(response.compact_revision) };
        return;
      }
      if (response.canceled) throw new Error(`etcd cancelled the watch: ${response.cancel_reason}`);
      if (response.created) position.live = true;
      const revision = BigInt(response.header.revision);
      if (response.created && revision + 1n < position.next) {
        yield { kind: 'compacted', compactRevision: revision }; // restored from a backup: what we know has not happened
        return;
      }
      for (const wire of response.events) {
        const event = watchEventOf(wire as unknown as WireEvent);
        if (event.modRevision >= position.next) incomplete.push(event);
      }
      const complete = takeComplete(incomplete, response.fragment);
      incomplete = incomplete.slice(complete.length);
      const reached = complete.at(-1)?.modRevision;
      if (reached === undefined) continue;
      position.next = reached + 1n;
      yield { kind: 'events', events: complete, revision: reached };
    }
  } finally {
    forget();
    // Half-closing first tells etcd3 that the break is ours; it would otherwise drop its connection as failed.
    stream.end();
    stream.cancel();
  }
}

/** The events whose revision can have no more to come: with fragments outstanding, all but the last revision's. */
export function takeComplete(events: readonly WatchEvent[], fragment: boolean): WatchEvent[] {
  const last = events.at(-1);
  if (!fragment || !last) return [...events];
  return events.slice(
    0,
    events.findIndex((event) => event.modRevision === last.modRevision),
  );
}

/** The next message, or undefined when `ending` was aborted. A silent stream is asked for progress once, then given up. */
async function nextResponse(
  reader: MessageReader<IWatchResponse>,
  stream: MessageStream<IWatchRequest, IWatchResponse>,
  live: boolean,
  ending: AbortSignal,
): Promise<IWatchResponse | undefined> {
  const response = await reader.next(live ? idleMs : answerTimeoutMs, ending);
  if (response !== 'timeout') return response;
  if (live) {
    stream.write({ progress_request: {} });
    const answer = await reader.next(answerTimeoutMs, ending);
    if (answer !== 'timeout') return answer;
  }
  throw new Error(`no answer on the watch stream within ${answerTimeoutMs} ms`);
}

function createRequest(prefix: string, next: bigint, previous: boolean): IWatchRequest {
  const start = next > 1n ? next - 1n : next;
  return {
    create_request: {
      ...wireRange(prefix),
      start_revision: start.toString(),
      prev_kv: previous,
      fragment: true,
    },
  };
}
