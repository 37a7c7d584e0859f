/**
 * All objects of the cluster in memory, typed and indexed: what controllers, scheduler, sessions and DNS read.
 *
 * Invariants
 * - It shows the store exactly as it was at `revision`, never a mixture of two revisions.
 * - Objects are never changed, only replaced; an object that did not change stays the same object.
 * - Listeners are called once per batch, after the whole batch is visible, in the order of revisions.
 *
 * It is its own snapshot: readers are synchronous, so nothing moves under them, and reading copies nothing.
 */
import { objectKey } from '../../lib/model/keys.ts';
import { controllerOf } from '../../lib/model/object.ts';
import { configurationReferences } from '../../lib/model/pod-configuration.ts';
import { rollsOutWithConfiguration } from '../../lib/model/rollouts.ts';
import type { Kind } from '../../lib/model/schema.ts';
import { podTemplateOf } from '../../lib/model/workloads.ts';
import type { KindMap, KubeObject, Pod } from '../../proto/gen/types.ts';
import { ObjectIndex } from './object-index.ts';
import { orphanName } from './orphans.ts';
import type { Snapshot } from './snapshot.ts';
import { SortedKeys } from './sorted-keys.ts';

/** Absent `previous`: created. Absent `object`: gone. */
export interface ObjectChange {
  readonly key: string;
  readonly object?: KubeObject;
  readonly previous?: KubeObject;
}

/** A key beside the objects: leader, tokens, allocations. */
export interface OtherEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: bigint;
}

export interface OtherChange {
  readonly key: string;
  readonly entry?: OtherEntry;
  readonly previous?: OtherEntry;
}

/** What a batch of store events means, before it is applied. */
export interface StateUpdate {
  readonly key: string;
  /** Absent: the key is gone, or is not an object. */
  readonly object?: KubeObject;
  /** For keys that are not objects. */
  readonly other?: OtherEntry;
}

export interface ClusterState extends Snapshot {
  /** False until the first complete list. */
  readonly synced: boolean;
  /** Returns its cancel. */
  onChange(listener: (changes: readonly ObjectChange[]) => void): () => void;
  byKey(key: string): KubeObject | undefined;
  /** Objects whose keys begin with `prefix`, in the order of keys; only those after `startAfter`, when it is given. */
  inOrder(prefix: string, startAfter?: string): Iterable<readonly [key: string, object: KubeObject]>;
  /** Every object by its key. */
  all(): Iterable<readonly [key: string, object: KubeObject]>;
  /** Keys beside the objects, for IPAM and the like. */
  other(key: string): OtherEntry | undefined;
  others(prefix: string): readonly OtherEntry[];
  onOtherChange(listener: (changes: readonly OtherChange[]) => void): () => void;
  /** Resolves when `revision` is visible. Rejects with the signal's reason when aborted first. */
  waitFor(revision: bigint, signal?: AbortSignal): Promise<void>;
  whenSynced(signal?: AbortSignal): Promise<void>;
}

interface Waiter {
  readonly revision: bigint;
  readonly resolve: () => void;
}

export class MutableClusterState implements ClusterState {
  #revision = 0n;
  #synced = false;
  readonly #objects = new Map<string, KubeObject>();
  readonly #keys = new SortedKeys();
  readonly #others = new Map<string, OtherEntry>();
  readonly #uids = new Map<string, KubeObject>();
  readonly #kinds = new ObjectIndex<KubeObject>();
  readonly #owners = new ObjectIndex<KubeObject>();
  readonly #controllers = new ObjectIndex<KubeObject>();
  readonly #nodes = new ObjectIndex<Pod>();
  readonly #configured = new ObjectIndex<KubeObject>();
  readonly #orphans = new ObjectIndex<KubeObject>();
  readonly #listeners = new Set<(changes: readonly ObjectChange[]) => void>();
  readonly #otherListeners = new Set<(changes: readonly OtherChange[]) => void>();
  readonly #waiters = new Set<Waiter>();

  get revision(): bigint {
    return this.#revision;
  }

  get synced(): boolean {
    return this.#synced;
  }

  get<K extends Kind>(kind: K, namespace: string | undefined, name: string): KindMap[K] | undefined {
    return this.#objects.get(objectKey(kind, namespace, name)) as KindMap[K] | undefined;
  }

  byKey(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  all(): Iterable<readonly [key: string, object: KubeObject]> {
    return this.#objects;
  }

  *inOrder(prefix: string, startAfter?: string): Generator<readonly [key: string, object: KubeObject]> {
    for (const key of this.#keys.from(startAfter ?? prefix)) {
      if (!key.startsWith(prefix)) return;
      if (key !== startAfter) yield [key, this.#objects.get(key)!];
    }
  }

  list<K extends Kind>(kind: K, namespace?: string): readonly KindMap[K][] {
    return this.#kinds.of(namespace === undefined ? kind : `${kind}/${namespace}`) as readonly KindMap[K][];
  }

  byUID(uid: string): KubeObject | undefined {
    return this.#uids.get(uid);
  }

  ownedBy(uid: string): readonly KubeObject[] {
    return this.#owners.of(uid);
  }

  controlledBy<K extends Kind>(kind: K, uid: string): readonly KindMap[K][] {
    return this.#controllers.of(`${kind}/${uid}`) as readonly KindMap[K][];
  }

  podsOnNode(nodeName: string): readonly Pod[] {
    return this.#nodes.of(nodeName);
  }

  orphansOf(kind: Kind, namespace: string | undefined, name: string): readonly KubeObject[] {
    return this.#orphans.of(`${kind}/${namespace}/${name}`);
  }

  configuredBy(key: string): readonly KubeObject[] {
    return this.#configured.of(key);
  }

  other(key: string): OtherEntry | undefined {
    return this.#others.get(key);
  }

  others(prefix: string): readonly OtherEntry[] {
    return [...this.#others.values()].filter((entry) => entry.key.startsWith(prefix));
  }

  onChange(listener: (changes: readonly ObjectChange[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onOtherChange(listener: (changes: readonly OtherChange[]) => void): () => void {
    this.#otherListeners.add(listener);
    return () => this.#otherListeners.delete(listener);
  }

  waitFor(revision: bigint, signal?: AbortSignal): Promise<void> {
    if (this.#synced && this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        revision,
        resolve: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  whenSynced(signal?: AbortSignal): Promise<void> {
    return this.waitFor(0n, signal);
  }

  /** Events of a watch: each update says what the key holds now. */
  apply(updates: readonly StateUpdate[], revision: bigint): void {
    this.#commit(updates, revision);
  }

  /** A complete list: what is not in it is gone. Only real differences reach the listeners. */
  replace(all: readonly StateUpdate[], revision: bigint): void {
    const present = new Set(all.map(({ key }) => key));
    const gone = [...this.#objects.keys(), ...this.#others.keys()].filter((key) => !present.has(key));
    this.#synced = true;
    this.#commit([...gone.map((key) => ({ key })), ...all], revision);
  }

  #commit(updates: readonly StateUpdate[], revision: bigint): void {
    const changes: ObjectChange[] = [];
    const otherChanges: OtherChange[] = [];
    for (const update of updates) {
      const objectChange = this.#put(update.key, update.object);
      if (objectChange) changes.push(objectChange);
      const otherChange = this.#putOther(update.key, update.other);
      if (otherChange) otherChanges.push(otherChange);
    }
    this.#revision = revision;
    if (otherChanges.length > 0) for (const listener of [...this.#otherListeners]) listener(otherChanges);
    if (changes.length > 0) for (const listener of [...this.#listeners]) listener(changes);
    for (const waiter of [...this.#waiters]) {
      if (!this.#synced || waiter.revision > revision) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #put(key: string, object: KubeObject | undefined): ObjectChange | undefined {
    const previous = this.#objects.get(key);
    if (!previous && !object) return undefined;
    if (previous && object && previous.metadata.resourceVersion === object.metadata.resourceVersion) return undefined;
    if (object) this.#objects.set(key, object);
    else this.#objects.delete(key);
    if (object && !previous) this.#keys.add(key);
    if (previous && !object) this.#keys.delete(key);
    if (previous?.metadata.uid && this.#uids.get(previous.metadata.uid) === previous) {
      this.#uids.delete(previous.metadata.uid);
    }
    if (object?.metadata.uid) this.#uids.set(object.metadata.uid, object);
    this.#kinds.move(key, kindGroups(previous), kindGroups(object), object);
    this.#owners.move(key, ownerGroups(previous), ownerGroups(object), object);
    this.#controllers.move(key, controllerGroups(previous), controllerGroups(object), object);
    this.#nodes.move(key, nodeGroups(previous), nodeGroups(object), object as Pod | undefined);
    this.#orphans.move(key, orphanGroups(previous), orphanGroups(object), object);
    this.#configured.move(key, configurationGroups(previous), configurationGroups(object), object);
    return { key, ...(object && { object }), ...(previous && { previous }) };
  }

  #putOther(key: string, entry: OtherEntry | undefined): OtherChange | undefined {
    const previous = this.#others.get(key);
    if (!previous && !entry) return undefined;
    if (previous && entry && previous.modRevision === entry.modRevision) return undefined;
    if (entry) this.#others.set(key, entry);
    else this.#others.delete(key);
    return { key, ...(entry && { entry }), ...(previous && { previous }) };
  }
}

function kindGroups(object: KubeObject | undefined): readonly string[] {
  if (!object) return [];
  const { namespace } = object.metadata;
  return namespace === undefined ? [object.kind] : [object.kind, `${object.kind}/${namespace}`];
}

function ownerGroups(object: KubeObject | undefined): readonly string[] {
  return object?.metadata.ownerReferences?.map(({ uid }) => uid) ?? [];
}

function controllerGroups(object: KubeObject | undefined): readonly string[] {
  const uid = object && controllerOf(object)?.uid;
  return uid === undefined ? nowhere : [`${object!.kind}/${uid}`];
}

function nodeGroups(object: KubeObject | undefined): readonly string[] {
  return object?.kind === 'Pod' && object.spec.nodeName ? [object.spec.nodeName] : [];
}

function orphanGroups(object: KubeObject | undefined): readonly string[] {
  const name = object && orphanName(object);
  return name === undefined ? nowhere : [`${object!.kind}/${object!.metadata.namespace}/${name}`];
}

/** Only of those that asked for it by annotation: all others cost nothing here. */
function configurationGroups(object: KubeObject | undefined): readonly string[] {
  if (!object || !rollsOutWithConfiguration(object)) return nowhere;
  const spec = podTemplateOf(object)?.spec;
  if (!spec) return nowhere;
  const { namespace } = object.metadata;
  return configurationReferences(spec).map(({ kind, name }) => objectKey(kind, namespace, name));
}

const nowhere: readonly string[] = [];
