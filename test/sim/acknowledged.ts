/**
 * No write that a client saw succeed is lost: users write growing numbers of their own, which are there and never go back,
 * and what they wrote is not deleted unless somebody asked for that.
 */
import { objectKey } from '../../lib/model/keys.ts';
import { controllerOf, isDeleting } from '../../lib/model/object.ts';
import type { Job, KubeObject } from '../../proto/gen/types.ts';
import { isCopy } from './configuration-checker.ts';
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
  /** Uids of what was once to go without what it owns. */
  readonly #orphaned = new Set<string>();
  /** Uids that there were. */
  readonly #gone = new Set<string>();

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

  /** Of every revision, in order. */
  applied(changes: readonly Change[], writer: Writer | undefined): void {
    for (const { object, previous } of changes) {
      if (object?.metadata.finalizers?.includes('orphan')) this.#orphaned.add(object.metadata.uid ?? '');
      if (!object && previous && previous.kind !== 'Event') this.#gone.add(previous.metadata.uid ?? '');
    }
    for (const change of changes) this.#check(change, writer);
  }

  #check(change: Change, writer: Writer | undefined): void {
    const { key, object, previous, revision } = change;
    const user = writer?.operation?.split(' ', 1)[0];
    if (user !== undefined) this.#lastOwn.set(`${user} ${key}`, revision);
    const counters = this.#acknowledged.get(key);
    if (!counters) return;
    const isKnown = [...counters.values()].some(({ uid }) => uid === previous?.metadata.uid);
    if (isKnown && previous && goes(change) && !isAskedFor(previous, writer) && !this.#mayGo(previous)) {
      const how = object ? 'deleted' : 'removed';
      this.#report('acknowledged-writes', `${key} was ${how} by ${nameOf(writer)}, but nobody asked for that`);
    }
    for (const [counter, { uid, count }] of counters) {
      if (object?.metadata.uid !== uid) {
        counters.delete(counter);
        continue;
      }
      const now = countOf(object, counter) ?? -1;
      if (now >= count) continue;
      // An older write of the user's own, given up without an answer, may land as late as it likes.
      const own = writer?.operation?.startsWith(`${counter} `) === true;
      if (!own)
        this.#report('acknowledged-writes', `${key}: ${nameOf(writer)} took ${counter} back from ${count} to ${now}`);
      counters.delete(counter);
    }
  }

  /** What is deleted though nobody deleted it by its name: with its owners or its namespace, or because it is over. */
  #mayGo(object: KubeObject): boolean {
    const { namespace, ownerReferences = [] } = object.metadata;
    // With its node, for a more important one, by its owner: which pods run is the cluster's to decide.
    if (object.kind === 'Pod') return true;
    if (namespace !== undefined && this.#isClosed(namespace)) return true;
    if (ownerReferences.length > 0) {
      return ownerReferences.every(({ uid }) => this.#letsGo(uid)) || this.#isTidiedUp(object);
    }
    if (object.kind === 'Job') return object.spec.ttlSecondsAfterFinished !== undefined && isFinished(object);
    // Of a claim that is gone.
    return object.kind === 'PersistentVolume' && this.#gone.has(object.spec.claimRef?.uid ?? '');
  }

  /** It was deleted, and not so that what it owns stays; or it goes after what it owns. */
  #letsGo(uid: string): boolean {
    if (this.#orphaned.has(uid)) return false;
    const owner = this.#byUID(uid);
    if (!owner) return this.#gone.has(uid);
    return isDeleting(owner) && owner.metadata.finalizers?.includes('foregroundDeletion') === true;
  }

  /** By an owner that lives: a former revision without pods, its configuration, a former run. */
  #isTidiedUp(object: KubeObject): boolean {
    const owner = this.#byUID(controllerOf(object)?.uid ?? '');
    // configuration-checker.ts sees to it that no revision names it.
    if (isCopy(object)) return owner?.kind === 'Deployment';
    if (object.kind === 'ReplicaSet') return owner?.kind === 'Deployment' && object.spec.replicas === 0;
    if (object.kind !== 'Job' || owner?.kind !== 'CronJob') return false;
    return isFinished(object) || owner.spec.concurrencyPolicy === 'Replace';
  }

  #isClosed(namespace: string): boolean {
    const found = this.#store.objects.get(objectKey('Namespace', undefined, namespace));
    return !found || isDeleting(found);
  }

  #byUID(uid: string): KubeObject | undefined {
    return this.#store.objects.values().find(({ metadata }) => metadata.uid === uid);
  }
}

/** From here on nothing can keep it. */
function goes({ object, previous }: Change): boolean {
  if (!previous || isDeleting(previous)) return false;
  return !object || object.metadata.uid !== previous.metadata.uid || isDeleting(object);
}

function isAskedFor({ kind, metadata }: KubeObject, writer: Writer | undefined): boolean {
  const { name, namespace = 'default' } = metadata;
  return writer?.operation?.includes(` delete ${kind} ${namespace}/${name} (`) === true;
}

const isFinished = ({ status }: Job): boolean =>
  status?.conditions?.some(({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True') ===
  true;

const nameOf = (writer: Writer | undefined): string => writer?.operation ?? writer?.process.name ?? 'etcd';

export function countOf(object: KubeObject, counter: string): number | undefined {
  const text = object.metadata.annotations?.[counterPrefix + counter];
  return text === undefined ? undefined : Number(text);
}
