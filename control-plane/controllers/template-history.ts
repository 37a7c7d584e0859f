/**
 * The templates that a DaemonSet or StatefulSet has had, each kept as a ControllerRevision of its owner and known on
 * pods by its hash. Pure.
 *
 * The template in use always has the greatest number: one that comes back is found again and numbered anew.
 */
import { controllerReference, isDeleting, isSame } from '../../lib/model/object.ts';
import type { ControllerRevision, DaemonSet, Pod, StatefulSet } from '../../proto/gen/types.ts';
import type { Change, Snapshot } from '../state/snapshot.ts';
import { templateHash } from './deployment/template.ts';
import { controlledBy } from './owned.ts';

export const revisionHashLabel = 'controller-revision-hash';
const changeCauseAnnotation = 'kubernetes.io/change-cause';
const defaultHistoryLimit = 10;

type Owner = DaemonSet | StatefulSet;

export interface TemplateHistory {
  /** Of the template in use; perhaps yet to be created by `changes`. */
  readonly newest: ControllerRevision;
  /** Oldest first, without the newest. */
  readonly old: readonly ControllerRevision[];
  readonly changes: readonly Change[];
  readonly collisionCount: number;
}

export function hashOf(object: ControllerRevision | Pod): string {
  return object.metadata.labels?.[revisionHashLabel] ?? '';
}

/**
 * `pods`: all of the owner's; revisions that one of them is of stay, whatever their age, and so do those of the hashes in
 * `alsoKept`.
 */
export function templateHistory(
  snapshot: Snapshot,
  owner: Owner,
  pods: readonly Pod[],
  alsoKept: readonly string[] = [],
): TemplateHistory {
  const known = controlledBy(snapshot, owner, 'ControllerRevision')
    .filter((revision) => !isDeleting(revision))
    .sort((a, b) => (a.revision ?? 0) - (b.revision ?? 0) || (a.metadata.name < b.metadata.name ? -1 : 1));
  const found = known.findLast((revision) => isSame(revision.data?.spec?.template, owner.spec.template));
  const old = known.filter((revision) => revision !== found);
  const number = Math.max(0, ...old.map(({ revision = 0 }) => revision)) + 1;
  const inUse = new Set([...pods.map(hashOf), ...alsoKept]);
  const outlived = beyondLimit(old, inUse, owner.spec.revisionHistoryLimit ?? defaultHistoryLimit);
  const deletions = outlived.map((object): Change => ({ type: 'delete', object }));
  const { collisionCount = 0 } = owner.status ?? {};
  if (!found) {
    const { object, collisions } = newRevision(snapshot, owner, number, collisionCount);
    return { newest: object, old, changes: [{ type: 'create', object }, ...deletions], collisionCount: collisions };
  }
  if ((found.revision ?? 0) >= number) return { newest: found, old, changes: deletions, collisionCount };
  const newest = { ...found, revision: number };
  return { newest, old, changes: [{ type: 'update', object: newest }, ...deletions], collisionCount };
}

function newRevision(
  snapshot: Snapshot,
  owner: Owner,
  revision: number,
  from: number,
): { readonly object: ControllerRevision; readonly collisions: number } {
  const { name, namespace = 'default', annotations } = owner.metadata;
  for (let collisions = from; ; collisions += 1) {
    const hash = templateHash(owner.spec.template, collisions);
    if (snapshot.get('ControllerRevision', namespace, `${name}-${hash}`)) continue;
    const cause = annotations?.[changeCauseAnnotation];
    const object: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels: { ...owner.spec.template.metadata?.labels, [revisionHashLabel]: hash },
        ...(cause !== undefined && { annotations: { [changeCauseAnnotation]: cause } }),
        ownerReferences: [controllerReference(owner)],
      },
      data: { spec: { template: owner.spec.template } },
      revision,
    };
    return { object, collisions };
  }
}

function beyondLimit(
  old: readonly ControllerRevision[],
  inUse: ReadonlySet<string>,
  limit: number,
): readonly ControllerRevision[] {
  const idle = old.filter((revision) => !inUse.has(hashOf(revision)));
  return idle.slice(0, Math.max(0, idle.length - limit));
}
