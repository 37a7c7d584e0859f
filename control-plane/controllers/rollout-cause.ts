/**
 * Why a revision was begun: noted on it in the transaction that makes it or goes back to it, for `ctl rollout history`. Pure.
 *
 * What its author says (kubernetes.io/change-cause) is on the revision besides, and goes before. A cause that stands on the
 * workload since before content changed is not about that change: it is noted which one that was.
 */
import { isSame } from '../../lib/model/object.ts';
import {
  type CopyNames,
  causeAnnotation,
  changeCauseAnnotation,
  changedContents,
  copyNamesOf,
  formerCauseAnnotation,
} from '../../lib/model/rollouts.ts';
import type { KubeObject, PodTemplateSpec, Rollback } from '../../proto/gen/types.ts';
import type { Workload } from './configuration/copies.ts';
import { templateChanges } from './template-changes.ts';

export interface Begun {
  readonly workload: Workload;
  /** Which copies this revision names. */
  readonly names: CopyNames;
  /** What was in use until now. */
  readonly former?: {
    readonly object: KubeObject;
    readonly number: number;
    /** As its author wrote it, like that of the workload now. */
    readonly template: PodTemplateSpec;
  };
  /** The number that it had: it is gone back to. */
  readonly wasNumber?: number;
  /** Somebody asked to go back to it. */
  readonly isAsked: boolean;
  readonly rollback: Rollback | undefined;
}

/** Of a revision that is begun now: its annotations with why. */
export function withCause(annotations: Readonly<Record<string, string>>, begun: Begun): Record<string, string> {
  const { [causeAnnotation]: _cause, [formerCauseAnnotation]: before, ...others } = annotations;
  const cause = causeOf(begun);
  const former = isGoingBack(begun) ? before : formerCause(begun);
  return {
    ...others,
    ...((cause !== '' || Object.keys(begun.names).length > 0) && { [causeAnnotation]: cause }),
    ...(former !== undefined && { [formerCauseAnnotation]: former }),
  };
}

function causeOf(begun: Begun): string {
  const { names, former, wasNumber, isAsked, rollback } = begun;
  const revision = `revision ${wasNumber}`;
  if (wasNumber !== undefined && isAsked) return `undo to ${revision}`;
  if (wasNumber !== undefined && isGoingBack(begun)) {
    return rollback?.reason === 'Undo'
      ? `undo to ${revision}`
      : `rolled back to ${revision}: revision ${former?.number} missed its progress deadline`;
  }
  const contents = former ? changedContents(names, copyNamesOf(former.object)) : [];
  const changes = former && wasNumber === undefined ? templateChanges(former.template, templateOf(begun)) : [];
  if (contents.length + changes.length > 0) return [...changes, ...contents].join('; ');
  return wasNumber === undefined ? '' : `back to the template of ${revision}`;
}

function templateOf({ workload }: Begun): PodTemplateSpec {
  return workload.spec.template;
}

/** Not because of what the workload says now. */
function isGoingBack({ isAsked, rollback }: Begun): boolean {
  return isAsked || rollback !== undefined;
}

/** What is said of the workload, when it was said of the revision before already. */
function formerCause(begun: Begun): string | undefined {
  const { workload, names, former } = begun;
  if (!former || changedContents(names, copyNamesOf(former.object)).length === 0) return undefined;
  if (!isSame(former.template, templateOf(begun))) return undefined;
  const cause = workload.metadata.annotations?.[changeCauseAnnotation];
  return cause === former.object.metadata.annotations?.[changeCauseAnnotation] ? cause : undefined;
}
