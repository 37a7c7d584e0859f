/**
 * The templates that a DaemonSet or StatefulSet has had, each kept as a ControllerRevision of its owner and known on
 * pods by its hash. Pure.
 *
 * The template in use always has the greatest number: one that comes back is found again and numbered anew.
 */
import { controllerReference, isDeleting, isSame } from '../../lib/model/object.ts';
import { changeCauseAnnotation, copiesAnnotationOf, copyNamesOf, withOriginalNames } from '../../lib/model/rollouts.ts';
import type {
  ControllerRevision,
  DaemonSet,
  Pod,
  PodTemplateSpec,
  Rollback,
  StatefulSet,
} from '../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../state/snapshot.ts';
import { type ConfiguredTemplate, changedContent, outlivedCopies } from './configuration/copies.ts';
import { configurationMissing, originalGone } from './configuration/original-gone.ts';
import { templateHash } from './deployment/template.ts';
import { controlledBy } from './owned.ts';
import { rollbackInForce } from './rollback.ts';
import { withCause } from './rollout-cause.ts';

export const revisionHashLabel = 'controller-revision-hash';
const defaultHistoryLimit = 10;

type Owner = DaemonSet | StatefulSet;

export interface TemplateHistory {
  /** Of what pods are to be made of; perhaps yet to be created by `changes`. */
  readonly newest: ControllerRevision;
  /** Oldest first, without the newest. */
  readonly old: readonly ControllerRevision[];
  readonly changes: readonly Change[];
  readonly collisionCount: number;
  /** A former revision is the newest, though the template or its content is another. */
  readonly rollback?: Rollback;
  /** The template is not what pods are made of, for want of this. */
  readonly waitsFor?: string;
  readonly events: NonNullable<ReconcileResult['events']>;
}

export function hashOf(object: ControllerRevision | Pod): string {
  return object.metadata.labels?.[revisionHashLabel] ?? '';
}

/**
 * `pods`: all of the owner's; revisions that one of them is of stay, whatever their age, and so do those of the hashes in
 * `alsoKept`. Undefined while there can be no first revision.
 */
export function templateHistory(
  snapshot: Snapshot,
  owner: Owner,
  configured: ConfiguredTemplate,
  pods: readonly Pod[],
  alsoKept: readonly string[] = [],
): TemplateHistory | undefined {
  const { template, names, waitsFor } = configured;
  const all = controlledBy(snapshot, owner, 'ControllerRevision');
  const known = all
    .filter((revision) => !isDeleting(revision))
    .sort((a, b) => (a.revision ?? 0) - (b.revision ?? 0) || (a.metadata.name < b.metadata.name ? -1 : 1));
  const own = known.findLast((revision) => isSame(revision.data?.spec?.template, template));
  const {
    instead,
    rollback,
    isAsked = false,
    events,
  } = rollbackInForce(owner, () => templateHash(template, 0), known, own);
  const found = instead ?? own ?? (waitsFor === undefined ? undefined : known.at(-1));
  if (!found && waitsFor !== undefined) return undefined;
  const isHeld = waitsFor !== undefined && !instead && !isMadeFrom(found, owner);
  const old = known.filter((revision) => revision !== found);
  const number = Math.max(0, ...old.map(({ revision = 0 }) => revision)) + 1;
  const inUse = new Set([...pods.map(hashOf), ...alsoKept]);
  const outlived = beyondLimit(old, inUse, owner.spec.revisionHistoryLimit ?? defaultHistoryLimit);
  const deletions = [
    ...outlived.map((object): Change => ({ type: 'delete', object })),
    ...outlivedCopies(snapshot, owner, all, names),
  ];
  const { collisionCount = 0 } = owner.status ?? {};
  const facts = {
    old,
    events: [...events, ...(isHeld ? [waiting(owner, waitsFor)] : originalGone(snapshot, owner, configured))],
    ...(rollback && { rollback }),
    ...(isHeld && { waitsFor }),
  };
  if (found && (found.revision ?? 0) >= number) return { ...facts, newest: found, changes: deletions, collisionCount };
  const former = old.at(-1);
  const isContent = former !== undefined && !instead && isMadeFrom(former, owner);
  const why = isContent ? changedContent(owner, copyNamesOf(former), names, number) : [];
  const begun = { ...facts, events: [...facts.events, ...why] };
  const cause = (revision: ControllerRevision, wasNumber?: number): ControllerRevision => {
    const annotations = withCause(revision.metadata.annotations ?? {}, {
      workload: owner,
      names: copyNamesOf(revision),
      ...(former && {
        former: {
          object: former,
          number: former.revision ?? 0,
          template: originalTemplate(former) ?? owner.spec.template,
        },
      }),
      ...(wasNumber && { wasNumber }),
      isAsked,
      rollback,
    });
    return { ...revision, metadata: withAnnotations(revision.metadata, annotations) };
  };
  if (!found) {
    const { object: made, collisions } = newRevision(snapshot, owner, configured, number, collisionCount);
    const object = cause(made);
    return {
      ...begun,
      newest: object,
      changes: [{ type: 'create', object }, ...deletions],
      collisionCount: collisions,
    };
  }
  const newest = { ...cause(found, found.revision), revision: number };
  return { ...begun, newest, changes: [{ type: 'update', object: newest }, ...deletions], collisionCount };
}

function withAnnotations(
  { annotations: _before, ...metadata }: ControllerRevision['metadata'],
  annotations: Record<string, string>,
): ControllerRevision['metadata'] {
  return Object.keys(annotations).length > 0 ? { ...metadata, annotations } : metadata;
}

/** From the same template, be it with other content. */
function isMadeFrom(revision: ControllerRevision | undefined, { spec }: Owner): boolean {
  const template = revision && originalTemplate(revision);
  return template !== undefined && isSame(template, spec.template);
}

/** As its author wrote it. */
function originalTemplate(revision: ControllerRevision): PodTemplateSpec | undefined {
  const template = revision.data?.spec?.template;
  return template && withOriginalNames(template, copyNamesOf(revision));
}

/** What a workload says while there can be no first revision. */
export function waitingForConfiguration(about: Owner, { waitsFor = '' }: ConfiguredTemplate): ReconcileResult {
  return { changes: [], events: [waiting(about, waitsFor)] };
}

function waiting(about: Owner, message: string): TemplateHistory['events'][number] {
  return { type: 'Warning', reason: configurationMissing, message, about };
}

function newRevision(
  snapshot: Snapshot,
  owner: Owner,
  { template, names }: ConfiguredTemplate,
  revision: number,
  from: number,
): { readonly object: ControllerRevision; readonly collisions: number } {
  const { name, namespace = 'default', annotations } = owner.metadata;
  for (let collisions = from; ; collisions += 1) {
    const hash = templateHash(template, collisions);
    if (snapshot.get('ControllerRevision', namespace, `${name}-${hash}`)) continue;
    const cause = annotations?.[changeCauseAnnotation];
    const notes = {
      ...(cause !== undefined && { [changeCauseAnnotation]: cause }),
      ...copiesAnnotationOf(names),
    };
    const object: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels: { ...template.metadata?.labels, [revisionHashLabel]: hash },
        ...(Object.keys(notes).length > 0 && { annotations: notes }),
        ownerReferences: [controllerReference(owner)],
      },
      data: { spec: { template } },
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
