/**
 * Writes what a reconcile wished for: all of it in one etcd transaction, or nothing.
 *
 * - Every transaction compares the leader's fence, and the mod revision of each object it changes.
 * - Objects without a name of their own (generateName), and deletions of some of an owner's objects, are a *choice*: a
 *   second pass from a stale snapshot would choose again and make too many or delete too many. Such a transaction
 *   always rewrites the owner and compares its mod revision, so that the second pass loses. (This stands in for
 *   Kubernetes' "expectations".) Creation under a fixed name needs the owner only to still be as it was read.
 * - A lost comparison is a normal outcome, not an error: wait for the mirror and reconcile again.
 */
import { type Clock, timestamp } from '../../lib/clock.ts';
import { assert } from '../../lib/errors.ts';
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { keyOf, kindPrefix, objectKey } from '../../lib/model/keys.ts';
import { isControlledBy, revisionOf } from '../../lib/model/object.ts';
import { kindInfo } from '../../lib/model/schema.ts';
import { withUnknownOf } from '../../lib/model/unknown.ts';
import type { Random } from '../../lib/random.ts';
import {
  absent,
  type Compare,
  deleteOf,
  deletePrefixOf,
  getOf,
  modRevisionIs,
  type Operation,
  putOf,
  type Store,
} from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { deletionOf, isHeld } from './deletion.ts';
import type { ObjectCodec } from './object-codec.ts';
import type { Change } from './snapshot.ts';

/** A pod's name is also its host name, a DNS label. */
const longestGenerateName = 58;

export interface CommitParts {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly random: Random;
  /** The leadership's; absent in tests of a single writer. */
  readonly fence?: Compare;
  /** What is known to be stored. A controller that builds a status anew keeps what a newer one has written there. */
  readonly stored?: (key: string) => KubeObject | undefined;
}

export type CommitResult =
  | { readonly outcome: 'done'; readonly revision: bigint; readonly created: readonly KubeObject[] }
  /** Somebody was faster; `revision` is what the mirror should see before the next try. */
  | { readonly outcome: 'conflict'; readonly revision: bigint }
  /** The fence does not hold: another replica leads. */
  | { readonly outcome: 'deposed' }
  /** All changes were void (already deleting). */
  | { readonly outcome: 'nothing' };

export interface Draft {
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
  readonly created: readonly KubeObject[];
}

/** Rejects only with what the store throws. */
export async function commit(
  parts: CommitParts,
  changes: readonly Change[],
  owner?: KubeObject,
): Promise<CommitResult> {
  const draft = draftTransaction(parts, changes, owner);
  if (draft.success.length === 0) return { outcome: 'nothing' };
  const { fence } = parts;
  const result = await parts.store.transact({
    compare: fence ? [fence, ...draft.compare] : draft.compare,
    success: draft.success,
    failure: fence ? [getOf(fence.key)] : [],
  });
  if (result.succeeded) return { outcome: 'done', revision: result.revision, created: draft.created };
  const [held] = result.responses;
  if (fence?.target === 'create' && held?.kind === 'get' && (held.kv?.createRevision ?? 0n) !== fence.value) {
    return { outcome: 'deposed' };
  }
  return { outcome: 'conflict', revision: result.revision };
}

/** Pure but for the ids it draws. */
export function draftTransaction(parts: CommitParts, changes: readonly Change[], owner?: KubeObject): Draft {
  const draft = new DraftTransaction(parts);
  for (const change of changes) draft.add(change);
  if (owner) draft.guardBy(owner, changes);
  return draft;
}

class DraftTransaction implements Draft {
  readonly compare: Compare[] = [];
  readonly success: Operation[] = [];
  readonly created: KubeObject[] = [];
  readonly #keys = new Set<string>();
  readonly #parts: CommitParts;

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  add(change: Change): void {
    const { object } = change;
    if (change.type === 'create') this.#create(object);
    else if (change.type === 'update') this.#update(object);
    else if (change.type === 'remove') this.#remove(object);
    else if (change.type === 'unchanged') this.compare.push(modRevisionIs(keyOf(object), revisionOf(object)));
    else this.#delete(object, change.gracePeriodSeconds);
  }

  guardBy(owner: KubeObject, changes: readonly Change[]): void {
    const key = keyOf(owner);
    if (this.success.length === 0 || this.#keys.has(key)) return;
    if (changes.some((change) => isChoice(change, owner))) this.#update(owner);
    else if (changes.some(({ type }) => type === 'create')) this.compare.push(modRevisionIs(key, revisionOf(owner)));
  }

  #create(wanted: KubeObject): void {
    const { random, clock } = this.#parts;
    const name = wanted.metadata.name || this.#generateName(wanted);
    const metadata = {
      ...wanted.metadata,
      name,
      uid: random.uuid(),
      generation: wanted.metadata.generation ?? 1,
      creationTimestamp: timestamp(clock.nowMs()),
    };
    const object = { ...wanted, metadata } as KubeObject;
    const key = this.#claim(object);
    this.compare.push(absent(key));
    this.success.push(putOf(key, this.#parts.codec.encode(object)));
    this.created.push(object);
  }

  /** Of a thousand pods made together two get the same one now and then. One that exists already is a lost race. */
  #generateName({ kind, metadata: { namespace, generateName = '' } }: KubeObject): string {
    const prefix = generateName.slice(0, longestGenerateName);
    for (;;) {
      const name = `${prefix}${this.#parts.random.suffix(5)}`;
      if (!this.#keys.has(objectKey(kind, namespace, name))) return name;
    }
  }

  #update(object: KubeObject): void {
    const key = this.#claim(object);
    this.compare.push(modRevisionIs(key, revisionOf(object)));
    const stored = this.#parts.stored?.(key);
    const whole = stored ? withUnknownOf(kindInfo(object.kind).type, stored, object) : object;
    this.success.push(putOf(key, this.#parts.codec.encode(whole)));
  }

  #remove(object: KubeObject): void {
    if (isHeld(object)) {
      this.#delete(object, 0);
      return;
    }
    const key = this.#claim(object);
    this.compare.push(modRevisionIs(key, revisionOf(object)));
    this.success.push(deleteOf(key), ...allocationKeysOf(object).map(deleteOf));
    // It goes when the mirror shows nothing in it any more; what the mirror could not read goes with it.
    if (object.kind === 'Namespace') this.success.push(deletePrefixOf(kindPrefix('Secret', object.metadata.name)));
  }

  #delete(object: KubeObject, gracePeriodSeconds: number | undefined): void {
    const deletion = deletionOf(object, gracePeriodSeconds, this.#parts.clock.nowMs());
    if (deletion.type === 'remove') this.#remove(object);
    else if (deletion.type === 'mark') this.#update(deletion.object);
  }

  #claim(object: KubeObject): string {
    const key = keyOf(object);
    assert(!this.#keys.has(key), `one reconcile changes ${key} twice`);
    this.#keys.add(key);
    return key;
  }
}

function isChoice(change: Change, owner: KubeObject): boolean {
  if (change.type === 'create') return !change.object.metadata.name;
  return change.type !== 'update' && isControlledBy(change.object, owner);
}
