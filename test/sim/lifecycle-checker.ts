/** Looks at how objects end: nothing that somebody holds, set free, or protects from eviction may go unasked. */
import { matchesSelector } from '../../lib/model/labels.ts';
import { controllerOf, isControlledBy, isDeleting } from '../../lib/model/object.ts';
import { isPodReady } from '../../lib/model/pods.ts';
import type { KubeObject, Pod, PodDisruptionBudget } from '../../proto/gen/types.ts';
import type { Writer } from './store.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';

const orphanFinalizer = 'orphan';
/** The cluster's own, which end with the object; those of storage with what they are there for (storage-checker.ts). */
const ownFinalizers: ReadonlySet<string> = new Set([
  orphanFinalizer,
  'foregroundDeletion',
  'kubernetes.io/pvc-protection',
  'kubernetes.io/pv-protection',
]);

export class LifecycleChecker {
  readonly #store: StoreChecker;
  readonly #report: Report;
  /** ReplicaSets that were to stay when their Deployment went, and whose they were. */
  readonly #setFree = new Map<string, string>();

  constructor(store: StoreChecker, report: Report) {
    this.#store = store;
    this.#report = report;
  }

  applied(changes: readonly Change[], writer: Writer | undefined): void {
    for (const change of changes) {
      const { key, object, previous } = change;
      const finalizers = (previous?.metadata.finalizers ?? []).filter((one) => !ownFinalizers.has(one));
      // Who takes the last one away ends the object.
      if (!object && finalizers.length > 0 && !writer?.operation?.includes(' release '))
        this.#report(
          'finalizers',
          `${key} was removed by ${nameOf(writer)} while it waited for ${finalizers.join(', ')}`,
        );
      this.#followOrphans(change, writer);
      if (writer?.operation?.includes(' evict ')) this.#checkEviction(change, changes);
    }
  }

  #followOrphans({ key, object, previous }: Change, writer: Writer | undefined): void {
    if (object?.kind === 'Deployment' && object.metadata.finalizers?.includes(orphanFinalizer)) {
      // What went already, with a deletion in the foreground before this one, goes on.
      for (const set of this.#store.list('ReplicaSet'))
        if (isControlledBy(set, object) && !isDeleting(set)) this.#setFree.set(set.metadata.uid!, object.metadata.uid!);
    }
    if (previous?.kind !== 'ReplicaSet') return;
    const former = this.#setFree.get(previous.metadata.uid ?? '');
    if (former === undefined) return;
    const owner = object && controllerOf(object);
    const isAdopted = owner !== undefined && owner.uid !== former;
    if (object && !isDeleting(object) && !isAdopted) return;
    this.#setFree.delete(previous.metadata.uid!);
    // Somebody else has it now; or its namespace goes, or users delete it as anything else.
    if (isAdopted || writer?.operation !== undefined || previous.metadata.namespace !== 'default') return;
    this.#report('orphans', `${key} was to stay when its owner went, and was deleted by ${nameOf(writer)}`);
  }

  /** Who evicts a pod that counts charges every budget over it in the same transaction. */
  #checkEviction({ object, previous }: Change, changes: readonly Change[]): void {
    if (object?.kind !== 'Pod' || previous?.kind !== 'Pod' || !isDeleting(object) || isDeleting(previous)) return;
    if (!isPodReady(previous) || previous.status?.phase !== 'Running') return;
    const before = (one: KubeObject): KubeObject =>
      changes.find((change) => change.object?.metadata.uid === one.metadata.uid)?.previous ?? one;
    for (const budget of this.#store.list('PodDisruptionBudget').filter((one) => covers(one, previous))) {
      const allowed = (before(budget) as PodDisruptionBudget).status?.disruptionsAllowed ?? 0;
      const left = budget.status?.disruptionsAllowed ?? 0;
      if (allowed > 0 && left === allowed - 1) continue;
      const what = `pod ${previous.metadata.name} was evicted, which ${budget.metadata.name} allows ${allowed} times`;
      this.#report('budgets', `${what}, and ${left} times afterwards`);
    }
  }
}

function covers({ metadata, spec }: PodDisruptionBudget, pod: Pod): boolean {
  if (!spec.selector || metadata.namespace !== pod.metadata.namespace) return false;
  return matchesSelector(spec.selector, pod.metadata.labels);
}

const nameOf = (writer: Writer | undefined): string => writer?.operation ?? writer?.process.name ?? 'etcd';
