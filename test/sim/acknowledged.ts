/** No write that a client saw succeed is lost: users write growing numbers of their own, which are there and never go back. */
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Writer } from './store.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';

/** Users count up a number of their own in the objects they write; it may never go back. */
export const counterPrefix = 'sim/';

interface Acknowledged {
  readonly uid: string;
  readonly count: number;
}

export class AcknowledgedWrites {
  readonly #store: Pick<StoreChecker, 'log' | 'objects'>;
  readonly #report: Report;
  /** Users' counters that were acknowledged, by key and counter. */
  readonly #acknowledged = new Map<string, Map<string, Acknowledged>>();
  /** By user and key: the last revision in which the user wrote it. */
  readonly #lastOwn = new Map<string, bigint>();

  constructor(store: Pick<StoreChecker, 'log' | 'objects'>, report: Report) {
    this.#store = store;
    this.#report = report;
  }

  /** A client was told that its write of `counter` succeeded. */
  acknowledge(object: KubeObject, key: string, counter: string, count: number): void {
    const { uid = '', resourceVersion = '0', name } = object.metadata;
    const change = this.#store.log[Number(resourceVersion)]?.find((one) => one.key === key);
    if (!change?.object || (countOf(change.object, counter) ?? -1) < count) {
      this.#report(
        'acknowledged-writes',
        `${key}: the write ${counter}=${count} was acknowledged at revision ${resourceVersion}, which does not hold it`,
      );
      return;
    }
    const current = this.#store.objects.get(key);
    if (current?.metadata.uid === uid && (countOf(current, counter) ?? -1) < count) {
      // A request of the user's own that was sent twice, or given up, may land as late as it likes.
      if ((this.#lastOwn.get(`${counter} ${key}`) ?? 0n) > BigInt(resourceVersion)) return;
      this.#report('acknowledged-writes', `${name}: ${counter}=${count} was lost before it was acknowledged`);
    }
    let counters = this.#acknowledged.get(key);
    if (!counters) {
      counters = new Map();
      this.#acknowledged.set(key, counters);
    }
    const before = counters.get(counter);
    if (before?.uid !== uid || before.count < count) counters.set(counter, { uid, count });
  }

  /** Of every change, in order. */
  check({ key, object, previous, revision }: Change, writer: Writer | undefined): void {
    const user = writer?.operation?.split(' ', 1)[0];
    if (user !== undefined) this.#lastOwn.set(`${user} ${key}`, revision);
    const counters = this.#acknowledged.get(key);
    if (!counters) return;
    for (const [counter, { uid, count }] of counters) {
      if (object?.metadata.uid === uid) {
        const now = countOf(object, counter) ?? -1;
        if (now >= count) continue;
        // An older write of the user's own, given up without an answer, may land as late as it likes.
        const own = writer?.operation?.startsWith(`${counter} `) === true;
        const who = writer?.operation ?? writer?.process.name;
        if (!own) this.#report('acknowledged-writes', `${key}: ${who} took ${counter} back from ${count} to ${now}`);
      } else if (
        previous?.metadata.uid === uid &&
        !mayGoUnasked(previous) &&
        !this.#isLeftBehind(previous) &&
        !previous.metadata.deletionTimestamp &&
        !isDeletion(writer)
      ) {
        this.#report('acknowledged-writes', `${key} was removed by ${writer?.process.name}, but nobody deleted it`);
      }
      counters.delete(counter);
    }
  }

  /** Whoever deletes an owner has deleted what it owns. */
  #isLeftBehind({ metadata: { ownerReferences = [] } }: KubeObject): boolean {
    const owners = ownerReferences.map(({ uid }) => uid);
    return (
      owners.length > 0 &&
      ![...this.#store.objects.values()].some(({ metadata }) => owners.includes(metadata.uid ?? ''))
    );
  }
}

/** A pod goes with its node, a Job when its time is over, everything with its owner and with its namespace. */
const mayGoUnasked = (object: KubeObject): boolean =>
  object.kind === 'Pod' ||
  (object.metadata.ownerReferences?.length ?? 0) > 0 ||
  (object.kind === 'Job' && object.spec.ttlSecondsAfterFinished !== undefined) ||
  (object.metadata.namespace !== undefined && object.metadata.namespace !== 'default');

const isDeletion = (writer: Writer | undefined): boolean => writer?.operation?.includes(' delete ') === true;

export function countOf(object: KubeObject, counter: string): number | undefined {
  const text = object.metadata.annotations?.[counterPrefix + counter];
  return text === undefined ? undefined : Number(text);
}
