/** Get, List and GetClusterInfo. */
import { GantryError } from '../../lib/errors.ts';
import { toEnvelope } from '../../lib/model/codec.ts';
import { kindPrefix } from '../../lib/model/keys.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { readExisting, targetOf } from './objects.ts';
import { authorizeKind } from './roles.ts';
import { type Selection, selectionOf } from './selectors.ts';
import { decodeOrStandIn } from './unreadable.ts';
import { response } from './write.ts';

/** How many keys are read at once for a page that selects by what is inside. */
const pageKeys = 500;

export function readHandlers(dependencies: ApiDependencies): Pick<ClusterHandlers, 'Get' | 'List' | 'GetClusterInfo'> {
  return {
    async Get(request, { peer }) {
      const target = targetOf(request);
      authorizeKind(peer, 'read', target.kind);
      return response(await readExisting(dependencies, target));
    },

    async List(request, { peer }) {
      const selection = selectionOf(request);
      authorizeKind(peer, 'read', selection.kind);
      const limit = request.limit ?? 0;
      if (limit < 0) throw new GantryError('invalidArgument', `limit: ${limit} is negative; use 0 for all`);
      const page = await listPage(dependencies, selection, limit, request.continue);
      return {
        items: page.objects.map(toEnvelope),
        resourceVersion: page.revision.toString(),
        ...(page.lastKey !== undefined && { continue: continueToken(page.revision, page.lastKey) }),
      };
    },

    async GetClusterInfo() {
      const leader = await dependencies.leader?.();
      return { ...dependencies.config, ...(leader !== undefined && { leader }) };
    },
  };
}

export interface Page {
  readonly objects: readonly KubeObject[];
  readonly revision: bigint;
  /** Where to go on, when there is more. */
  readonly lastKey?: string;
}

/** Everything selected at one revision; with a limit, at most that many. */
export async function listPage(
  { store, codec, upToDate }: ApiDependencies,
  selection: Selection,
  limit: number,
  token?: string,
): Promise<Page> {
  // A Secret that cannot be opened is not in the mirror, and what comes after the first page is of the past.
  const state =
    token || selection.kind === 'Secret' ? undefined : await upToDate?.({ kindPrefix: kindPrefix(selection.kind) });
  if (state) return firstPage(state, selection, limit);
  const start = token ? parseContinueToken(token, selection.prefix) : undefined;
  const objects: KubeObject[] = [];
  let revision = start?.revision;
  let startAfter = start?.lastKey;
  for (;;) {
    const page = await store.list(selection.prefix, {
      ...(revision !== undefined && { revision }),
      ...(startAfter !== undefined && { startAfter }),
      ...(limit > 0 && { limit: selection.looksInside ? pageKeys : limit - objects.length }),
    });
    revision ??= page.revision;
    for (const [index, stored] of page.items.entries()) {
      const { key } = stored;
      const object = decodeOrStandIn(codec, stored);
      if (object && selection.matches(object)) objects.push(object);
      startAfter = key;
      const more = page.more || index < page.items.length - 1;
      if (limit > 0 && objects.length === limit) return { objects, revision, ...(more && { lastKey: key }) };
    }
    if (!page.more) return { objects, revision };
  }
}

function firstPage(state: ClusterState, { prefix, matches }: Selection, limit: number): Page {
  const { revision } = state;
  const objects: KubeObject[] = [];
  let lastKey = '';
  for (const [key, object] of state.inOrder(prefix)) {
    if (limit > 0 && objects.length === limit) return { objects, revision, lastKey };
    if (!matches(object)) continue;
    objects.push(object);
    lastKey = key;
  }
  return { objects, revision };
}

function continueToken(revision: bigint, lastKey: string): string {
  return Buffer.from(JSON.stringify([revision.toString(), lastKey])).toString('base64url');
}

function parseContinueToken(token: string, prefix: string): { readonly revision: bigint; readonly lastKey: string } {
  try {
    const [revision, lastKey] = JSON.parse(Buffer.from(token, 'base64url').toString()) as [string, string];
    if (lastKey.startsWith(prefix) && /^[1-9]\d{0,18}$/.test(revision)) return { revision: BigInt(revision), lastKey };
  } catch {
    // Falls through: whatever it is, it is not ours.
  }
  throw new GantryError('invalidArgument', 'continue: not a token of this list; list again without it');
}
