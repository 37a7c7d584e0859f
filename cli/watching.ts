/** Following objects over whatever happens to the connection: taken up again at the last revision, or listed anew. */
import { GantryError, isGantryError } from '../lib/errors.ts';
import { fromEnvelope } from '../lib/model/codec.ts';
import { type Kind, kindInfo } from '../lib/model/schema.ts';
import type { KubeObject, WatchEvent } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { requestNamespace, type Selection } from './objects.ts';

export type Change =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  /** All that exists has been told. */
  | { readonly type: 'BOOKMARK' };

const retryMs = 500;

/**
 * What exists, a BOOKMARK, then every change. Ends when the signal aborts. A server that cannot be reached is an error
 * only before the BOOKMARK.
 */
export async function* watchObjects(
  context: Context,
  kind: Kind,
  selection: Selection,
  signal: AbortSignal = context.signal,
): AsyncGenerator<Change, void, undefined> {
  const namespace = requestNamespace(context, kindInfo(kind), selection);
  const labelSelector = selection.selector ?? '';
  const fieldSelector = selection.fieldSelector ?? '';
  const known = new Known();
  let synced = false;
  let told = false;
  let resourceVersion = '';
  while (!signal.aborted) {
    try {
      known.beginList(resourceVersion === '');
      const request = { kind, namespace, labelSelector, fieldSelector, resourceVersion };
      for await (const event of context.cluster.Watch(request, { signal })) {
        for (const change of known.changesOf(event)) yield change;
        const isBookmark = event.type === 'BOOKMARK';
        if (isBookmark && !synced) yield { type: 'BOOKMARK' };
        if (isBookmark) synced = true;
        // Before the BOOKMARK an event's revision says nothing about those that are still to come.
        if (event.resourceVersion && (isBookmark || resourceVersion !== '')) resourceVersion = event.resourceVersion;
        told = false;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isGantryError(error, 'outOfRange')) resourceVersion = '';
      else if (!synced || !isGantryError(error, 'unavailable')) throw error;
      else if (!told) {
        context.warn(`Warning: ${error.message} Trying again.`);
        told = true;
      }
    }
    await context.clock.sleep(retryMs, signal).catch(() => {});
  }
}

/** What several streams give, as it comes; it ends when all have ended. They have to be ended from outside. */
export async function* together<T>(streams: readonly AsyncGenerator<T, void, undefined>[]): AsyncGenerator<T, void> {
  const next = (stream: AsyncGenerator<T, void, undefined>) => {
    const taken = stream.next().then((result) => ({ stream, result }));
    taken.catch(() => {}); // its turn to be told may never come
    return taken;
  };
  const waiting = new Map(streams.map((stream) => [stream, next(stream)]));
  while (waiting.size > 0) {
    const { stream, result } = await Promise.race(waiting.values());
    if (result.done) waiting.delete(stream);
    else {
      waiting.set(stream, next(stream));
      yield result.value;
    }
  }
}

/** Drops what was told already, and finds what vanished while nobody looked. */
class Known {
  readonly #objects = new Map<string, KubeObject>();
  #listed: Set<string> | undefined;

  beginList(fromScratch: boolean): void {
    this.#listed = fromScratch ? new Set() : undefined;
  }

  changesOf({ type, object: envelope }: WatchEvent): Change[] {
    if (type === 'BOOKMARK') return this.#vanished();
    const object = fromEnvelope(envelope);
    if (!object) return [];
    const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    this.#listed?.add(key);
    const before = this.#objects.get(key);
    if (type === 'DELETED') {
      this.#objects.delete(key);
      return before ? [{ type, object }] : [];
    }
    if (before && before.metadata.resourceVersion === object.metadata.resourceVersion) return [];
    this.#objects.set(key, object);
    return [{ type: before ? 'MODIFIED' : 'ADDED', object }];
  }

  #vanished(): Change[] {
    const listed = this.#listed;
    this.#listed = undefined;
    if (!listed) return [];
    const gone = [...this.#objects].filter(([key]) => !listed.has(key));
    for (const [key] of gone) this.#objects.delete(key);
    return gone.map(([, object]) => ({ type: 'DELETED', object }));
  }
}

export interface Deadline {
  /** Aborts at the deadline and at Ctrl-C. */
  readonly signal: AbortSignal;
  readonly isOver: () => boolean;
  cancel(): void;
}

/** Undefined: no deadline but Ctrl-C. */
export function deadlineIn(context: Context, timeoutMs: number | undefined): Deadline {
  if (timeoutMs === undefined) return { signal: context.signal, isOver: () => false, cancel: () => {} };
  const over = new AbortController();
  const timer = context.clock.schedule(timeoutMs, () => over.abort(new GantryError('deadlineExceeded', 'timed out')));
  return {
    signal: AbortSignal.any([context.signal, over.signal]),
    isOver: () => over.signal.aborted,
    cancel: () => timer.cancel(),
  };
}
