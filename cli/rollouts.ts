/** The workloads that roll out, and the templates that they have had. */
import { GantryError } from '../lib/errors.ts';
import { controllerOf, isSame } from '../lib/model/object.ts';
import {
  type CopyNames,
  causeAnnotation,
  changeCauseAnnotation,
  changedContents,
  copyNamesOf,
  formerCauseAnnotation,
  withOriginalNames,
} from '../lib/model/rollouts.ts';
import type { DaemonSet, Deployment, KubeObject, PodTemplateSpec, StatefulSet } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { listObjects } from './objects.ts';
import { groupedKind, parseTargets } from './resources.ts';

export type RolloutKind = 'Deployment' | 'DaemonSet' | 'StatefulSet';
export type RolloutObject = Deployment | DaemonSet | StatefulSet;

const rolloutKinds: readonly string[] = ['Deployment', 'DaemonSet', 'StatefulSet'] satisfies RolloutKind[];

export interface RolloutTarget {
  readonly kind: RolloutKind;
  readonly name: string;
}

export function rolloutTargets(words: readonly string[]): RolloutTarget[] {
  return parseTargets(words).map(({ info, name }) => {
    if (!rolloutKinds.includes(info.kind)) {
      const known = 'name a deployment, daemonset or statefulset: deploy/NAME';
      throw new GantryError('invalidArgument', `${info.plural} have no rollout; ${known}`);
    }
    const word = info.kind.toLowerCase();
    if (name === undefined) {
      throw new GantryError('invalidArgument', `name the ${word}: ${info.shortNames[0] ?? word}/NAME`);
    }
    return { kind: info.kind as RolloutKind, name };
  });
}

export interface Revision {
  /** Of its ReplicaSet or ControllerRevision. */
  readonly name: string;
  readonly number: number;
  /** As its author wrote it: without what tells its pods apart, and with the ConfigMaps and Secrets by their own names. */
  readonly template: PodTemplateSpec;
  /** The copies of ConfigMaps and Secrets that its pods read instead. */
  readonly copies: CopyNames;
  /** What its author said of it. */
  readonly changeCause?: string;
  /** Why it was made or gone back to, as was noted then; absent of one that is older than such notes. */
  readonly cause?: string;
}

const revisionAnnotation = 'deployment.kubernetes.io/revision';
const templateHashLabel = 'pod-template-hash';

/** Oldest first; the last one is in use. */
export async function revisionsOf(context: Context, object: RolloutObject): Promise<Revision[]> {
  const isOwn = (dependent: KubeObject): boolean => controllerOf(dependent)?.uid === object.metadata.uid;
  const found =
    object.kind === 'Deployment'
      ? (await listObjects(context, 'ReplicaSet')).filter(isOwn).map((replicaSet) => {
          const number = Number(replicaSet.metadata.annotations?.[revisionAnnotation] ?? 0);
          return revision(number, replicaSet, withoutHash(replicaSet.spec.template));
        })
      : (await listObjects(context, 'ControllerRevision')).filter(isOwn).flatMap((kept) => {
          const template = kept.data?.spec?.template;
          return template ? [revision(kept.revision ?? 0, kept, template)] : [];
        });
  return found.filter(({ number }) => number > 0).sort((a, b) => a.number - b.number);
}

function revision(number: number, kept: KubeObject, template: PodTemplateSpec): Revision {
  const { name, annotations = {} } = kept.metadata;
  const { [changeCauseAnnotation]: said, [formerCauseAnnotation]: saidBefore, [causeAnnotation]: cause } = annotations;
  const changeCause = said === saidBefore ? undefined : said;
  const copies = copyNamesOf(kept);
  const original = withOriginalNames(template, copies);
  return {
    name,
    number,
    template: original,
    copies,
    ...(changeCause !== undefined && { changeCause }),
    ...(cause !== undefined && { cause }),
  };
}

export const noCause = '<none>';

/** Why there is each of them, oldest first: what its author said, else what was noted when it was begun. */
export function changeCauses(revisions: readonly Revision[]): string[] {
  return revisions.map((revision, index) => {
    const { changeCause, cause } = revision;
    return cause === undefined ? workedOutCause(revision, revisions[index - 1]) : changeCause || cause || noCause;
  });
}

/** All that is known of one of them: what its author said, and what was noted as well. */
export function wholeCause(revisions: readonly Revision[], revision: Revision): string {
  const { changeCause, cause } = revision;
  if (changeCause && cause) return `${changeCause}; ${cause}`;
  return changeCauses(revisions)[revisions.indexOf(revision)] ?? noCause;
}

/**
 * Of one without a note: what its author said, and the content that changed with it. What was said of the revision before
 * is not said again of one that only has other content.
 */
function workedOutCause(revision: Revision, before: Revision | undefined): string {
  const changed = before ? changedContents(revision.copies, before.copies) : [];
  const isSaid =
    before === undefined ||
    changed.length === 0 ||
    revision.changeCause !== before.changeCause ||
    !isSame(withoutHash(revision.template), withoutHash(before.template));
  const said = revision.changeCause === undefined || !isSaid ? [] : [revision.changeCause];
  return [...said, ...changed].join('; ') || noCause;
}

/** kubectl's words, and another sentence than for Deployments. */
const noneBefore = 'no last revision to roll back to';

/** `0` is the one before the one in use; after a rollback that nobody asked for, it is the one that runs since. */
export function wantedRevision(
  revisions: readonly Revision[],
  { kind, metadata, status }: RolloutObject,
  asked: string,
): Revision {
  if (asked === '0') {
    const { reason, revision: runs } = status?.rollback ?? {};
    const isBack = reason === 'ProgressDeadlineExceeded';
    const previous = isBack ? revisions.find(({ name }) => name === runs) : revisions.at(-2);
    if (previous) return previous;
    const none = kind === 'Deployment' ? `no rollout history found for deployment "${metadata.name}"` : noneBefore;
    throw new GantryError('notFound', none);
  }
  return numbered(revisions, asked, `unable to find specified revision ${asked} in history`);
}

/** `otherwise`: what to say when there is none. */
export function numbered(revisions: readonly Revision[], asked: string, otherwise: string): Revision {
  const found = revisions.find(({ number }) => String(number) === asked);
  if (found) return found;
  const known = revisions.map(({ number }) => number).join(', ') || 'none';
  throw new GantryError('notFound', `${otherwise}; there is ${known}`);
}

export function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [templateHashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** `deployments.apps "web"`, as kubectl names it in refusals. */
export function resourceName({ kind, metadata }: RolloutObject): string {
  const [name, ...group] = groupedKind(kind).split('.');
  return `${[`${name}s`, ...group].join('.')} "${metadata.name}"`;
}
