/**
 * What controllers, the scheduler, the node sessions and DNS read: one consistent picture of all objects at one
 * revision, and what a pure reconcile may answer. Snapshots are never changed by their readers.
 */

import type { Kind } from '../../lib/model/schema.ts';
import type { KindMap, KubeObject, Pod } from '../../proto/gen/types.ts';

export interface Snapshot {
  readonly revision: bigint;
  get<K extends Kind>(kind: K, namespace: string | undefined, name: string): KindMap[K] | undefined;
  /** Of one namespace, or of all when it is undefined. */
  list<K extends Kind>(kind: K, namespace?: string): readonly KindMap[K][];
  byUID(uid: string): KubeObject | undefined;
  /** Objects with an ownerReference to this uid. */
  ownedBy(uid: string): readonly KubeObject[];
  /** Of that kind, those whose controller the owner is. */
  controlledBy<K extends Kind>(kind: K, uid: string): readonly KindMap[K][];
  podsOnNode(nodeName: string): readonly Pod[];
  /** Objects of a kind without a controller, called after this name: NAME-x2kqp, NAME-0. */
  orphansOf(kind: Kind, namespace: string | undefined, name: string): readonly KubeObject[];
  /** Workloads that roll out with the ConfigMap or Secret of this store key, whether it exists or not. */
  configuredBy(key: string): readonly KubeObject[];
}

/** One wish of a controller. All changes of one reconcile land in one transaction or not at all. */
export type Change =
  /** uid, creationTimestamp and a name from generateName are filled in by whoever applies it. */
  | { readonly type: 'create'; readonly object: KubeObject }
  /** Compares object.metadata.resourceVersion with the key's mod revision. */
  | { readonly type: 'update'; readonly object: KubeObject }
  /** Writes nothing: the object must still be as it was read. */
  | { readonly type: 'unchanged'; readonly object: KubeObject }
  /** As a client's delete: pods that are bound get a deletionTimestamp; finalizers are honoured. */
  | { readonly type: 'delete'; readonly object: KubeObject; readonly gracePeriodSeconds?: number }
  /** Removes the key now, and in the same transaction gives back its allocations (pod IP, cluster IP, node ports). */
  | { readonly type: 'remove'; readonly object: KubeObject };

export interface ReconcileResult {
  readonly changes: readonly Change[];
  /** Look again after this long even if nothing changes. */
  readonly requeueAfterMs?: number;
  /** Event sentences about the object, written best-effort beside the changes. */
  readonly events?: readonly { type: 'Normal' | 'Warning'; reason: string; message: string; about: KubeObject }[];
  /** Those about objects that got their names when they were written. */
  readonly createdEvents?: (created: readonly KubeObject[]) => NonNullable<ReconcileResult['events']>;
}

/** Pure. `key` is the store key of the object that the controller owns; wall time `nowMs` is its only clock. */
export type Reconcile = (snapshot: Snapshot, key: string, nowMs: number) => ReconcileResult;
