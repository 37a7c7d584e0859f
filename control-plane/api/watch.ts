/**
 * Watch: every change after a revision, in order, none left out. Objects that come to match a selector are ADDED, those
 * that cease to are DELETED. `resourceVersion` of an event is where a reader that has it may resume: inside a revision
 * that changed several objects that is the revision before, so that a resumed watch repeats rather than loses.
 */
import { GantryError } from '../../lib/errors.ts';
import { toEnvelope } from '../../lib/model/codec.ts';
import { parseKey } from '../../lib/model/keys.ts';
import { kindInfo } from '../../lib/model/schema.ts';
import type { WatchEvent as StoreEvent, WatchBatch } from '../../lib/store/store.ts';
import type { KubeObject, WatchEvent } from '../../proto/gen/types.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { withRevision } from './objects.ts';
import { listPage } from './read.ts';
import { authorizeKind } from './roles.ts';
import { type Selection, selectionOf } from './selectors.ts';
import { decodeOrStandIn } from './unreadable.ts';
import { type Queued, throughQueue } from './watch-queue.ts';

const mostWaiting = 1000;
const stallMs = 30_000;

export function watchHandler(dependencies: ApiDependencies): ClusterHandlers['Watch'] {
  return (request, { peer, signal }) => {
    const selection = selectionOf(request);
    authorizeKind(peer, 'read', selection.kind);
    return watched(dependencies, selection, parseRevision(request.resourceVersion), signal);
  };
}

function parseRevision(text: string | undefined): bigint | undefined {
  if (!text) return undefined;
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new GantryError(
    'invalidArgument',
    `resourceVersion: ${JSON.stringify(text)} is not a revision; list to get one`,
  );
}

async function* watched(
  dependencies: ApiDependencies,
  selection: Selection,
  since: bigint | undefined,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent, void, undefined> {
  let from = since;
  if (from === undefined) {
    const { objects, revision } = await listPage(dependencies, selection, 0);
    for (const object of objects) yield { type: 'ADDED', object: toEnvelope(object) };
    yield { type: 'BOOKMARK', resourceVersion: revision.toString() };
    from = revision;
  } else {
    await checkNotAhead(dependencies, selection, from);
  }
  const leaving = new AbortController();
  try {
    const source = translated(dependencies, selection, from, AbortSignal.any([signal, leaving.signal]));
    yield* throughQueue(source, from, { limit: mostWaiting, stallMs, clock: dependencies.clock });
  } finally {
    leaving.abort(new GantryError('cancelled', 'the watch has ended'));
  }
}

/** A revision of another cluster, or of one restored from an older backup: its watch would wait in silence. */
async function checkNotAhead({ store }: ApiDependencies, { prefix }: Selection, from: bigint): Promise<void> {
  const { revision } = await store.list(prefix, { limit: 1, keysOnly: true });
  if (from <= revision) return;
  const message = `revision ${from} does not exist yet (the newest is ${revision})`;
  throw new GantryError('outOfRange', `${message}; list again and watch from there`);
}

async function* translated(
  { store, codec }: ApiDependencies,
  selection: Selection,
  from: bigint,
  signal: AbortSignal,
): AsyncGenerator<readonly Queued<WatchEvent>[], void, undefined> {
  const decode = (kv: { key: string; value: Uint8Array; modRevision: bigint } | undefined): KubeObject | undefined =>
    kv && decodeOrStandIn(codec, kv);
  for await (const batch of store.watch(selection.prefix, { fromRevision: from + 1n, signal })) {
    if (batch.kind === 'compacted') throw compactedError(from, batch);
    const events = batch.events.flatMap((event) => {
      const translatedEvent = translate(event, selection, decode);
      return translatedEvent ? [{ ...translatedEvent, modRevision: event.modRevision }] : [];
    });
    yield events.map(({ type, object, modRevision }, index) => {
      const isLast = events[index + 1]?.modRevision !== modRevision;
      const resumeFrom = isLast ? modRevision : modRevision - 1n;
      return { event: { type, object: toEnvelope(object), resourceVersion: resumeFrom.toString() }, resumeFrom };
    });
  }
}

function compactedError(from: bigint, { compactRevision }: Extract<WatchBatch, { kind: 'compacted' }>): GantryError {
  const message = `changes after revision ${from} are no longer kept (compacted up to ${compactRevision})`;
  return new GantryError('outOfRange', `${message}; list again and watch from there`);
}

interface Translated {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

/** What a change in the store means to this watch; undefined when nothing. */
export function translate(
  event: StoreEvent,
  selection: Selection,
  decode: (kv: StoreEvent['previous']) => KubeObject | undefined,
): Translated | undefined {
  if (event.type === 'delete') {
    const last = decode(event.previous) ?? nameOnly(event.key);
    if (!last || (event.previous && !selection.matches(last))) return undefined;
    return { type: 'DELETED', object: withRevision(last, event.modRevision) };
  }
  const object = decode(event.kv);
  if (!object) return undefined;
  const isNew = event.kv.createRevision === event.modRevision;
  if (!selection.looksInside) return { type: isNew ? 'ADDED' : 'MODIFIED', object };
  const previous = isNew ? undefined : decode(event.previous);
  const matched = previous ? selection.matches(previous) : !isNew; // what compaction took may have matched
  if (selection.matches(object)) return { type: matched ? 'MODIFIED' : 'ADDED', object };
  return matched ? { type: 'DELETED', object } : undefined;
}

/** All that is known of a deleted object whose last state is compacted. */
function nameOnly(key: string): KubeObject | undefined {
  const parsed = parseKey(key);
  if (!parsed) return undefined;
  const { kind, namespace, name } = parsed;
  const metadata = { name, ...(namespace && { namespace }) };
  return { apiVersion: kindInfo(kind).apiVersion, kind, metadata } as KubeObject;
}
