/**
 * Watch: every change after a revision, in order, none left out. Objects that come to match a selector are ADDED, those
 * that cease to are DELETED. Clients that watch the same objects share one watch of the store (watch-hub.ts).
 */
import { GantryError } from '../../lib/errors.ts';
import { toEnvelope } from '../../lib/model/codec.ts';
import type { WatchEvent } from '../../proto/gen/types.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { listPage } from './read.ts';
import { authorizeKind } from './roles.ts';
import { type Selection, selectionOf } from './selectors.ts';
import { Delivery } from './watch-delivery.ts';
import { type Client, WatchHub } from './watch-hub.ts';

/** Events in one message, for those who want them together. */
const mostTogether = 64;

export function watchHandler(dependencies: ApiDependencies): ClusterHandlers['Watch'] {
  const hubs = new Hubs(dependencies);
  return (request, { peer, signal, fail }) => {
    const selection = selectionOf(request);
    authorizeKind(peer, 'read', selection.kind);
    const most = request.together ? mostTogether : 1;
    const client = { most, fail };
    return watched(dependencies, hubs, selection, parseRevision(request.resourceVersion), signal, client);
  };
}

/** One for each prefix that somebody watches at this moment. */
class Hubs {
  readonly #dependencies: ApiDependencies;
  readonly #open = new Map<string, { readonly hub: WatchHub; clients: number }>();

  constructor(dependencies: ApiDependencies) {
    this.#dependencies = dependencies;
  }

  /** `leave` belongs to it. */
  join(prefix: string, from: bigint): { readonly hub: WatchHub; leave(): void } {
    const { store, codec, clock, watchStallMs: stallMs } = this.#dependencies;
    let entry = this.#open.get(prefix);
    // One that has ended by itself takes nobody on.
    if (!entry || entry.hub.isOver) {
      entry = { hub: new WatchHub({ store, codec, clock, prefix, from, stallMs }), clients: 0 };
      this.#open.set(prefix, entry);
    }
    const joined = entry;
    joined.clients += 1;
    return {
      hub: joined.hub,
      leave: () => {
        joined.clients -= 1;
        if (joined.clients > 0) return;
        joined.hub.close();
        if (this.#open.get(prefix) === joined) this.#open.delete(prefix);
      },
    };
  }
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
  hubs: Hubs,
  selection: Selection,
  since: bigint | undefined,
  outer: AbortSignal,
  { most, fail }: Pick<Client, 'most' | 'fail'>,
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
  const onAbort = (): void => leaving.abort(outer.reason);
  outer.addEventListener('abort', onAbort, { once: true });
  if (outer.aborted) onAbort();
  const client: Client = { delivery: new Delivery(selection, from), most, signal: leaving.signal, fail };
  const { hub, leave } = hubs.join(selection.prefix, from);
  try {
    while (!client.signal.aborted) {
      if (hub.covers(client.delivery.after)) yield* hub.follow(client);
      else yield* hub.catchUp(client);
    }
  } finally {
    outer.removeEventListener('abort', onAbort);
    leaving.abort(new GantryError('cancelled', 'the watch has ended'));
    leave();
  }
}

/** A revision of another cluster, or of one restored from an older backup: its watch would wait in silence. */
async function checkNotAhead({ store }: ApiDependencies, { prefix }: Selection, from: bigint): Promise<void> {
  const { revision } = await store.list(prefix, { limit: 1, keysOnly: true });
  if (from <= revision) return;
  const message = `revision ${from} does not exist yet (the newest is ${revision})`;
  throw new GantryError('outOfRange', `${message}; list again and watch from there`);
}
