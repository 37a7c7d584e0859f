/**
 * Why a revision was begun: noted on it in the transaction that makes it or goes back to it, for `ctl rollout history`. Pure.
 *
 * What its author says (kubernetes.io/change-cause) is on the revision besides, and goes before. A cause that stands on the
 * workload since before content changed is not about that change: it is noted which one that was.
 */
import {
  type CopyNames,
  causeAnnotation,
  changeCauseAnnotation,
  changedContents,
  copyNamesOf,
  formerCauseAnnotation,
} from '../../lib/model/rollouts.ts';
import type { KubeObject, Rollback } from '../../proto/gen/types.ts';

export interface Begun {
  readonly workload: KubeObject;
  /** Which copies this revision names. */
  readonly names: CopyNames;
  /** What was in use until now. */
  readonly former?: { readonly object: KubeObject; readonly number: number; readonly isSameTemplate: boolean };
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
  const changed = former ? changedContents(names, copyNamesOf(former.object)) : [];
  if (changed.length > 0) return changed.join('; ');
  return wasNumber === undefined ? '' : `back to the template of ${revision}`;
}

/** Not because of what the workload says now. */
function isGoingBack({ isAsked, rollback }: Begun): boolean {
  return isAsked || rollback !== undefined;
}

/** What is said of the workload, when it was said of the revision before already. */
function formerCause({ workload, names, former }: Begun): string | undefined {
  if (!former?.isSameTemplate || changedContents(names, copyNamesOf(former.object)).length === 0) return undefined;
  const cause = workload.metadata.annotations?.[changeCauseAnnotation];
  return cause === former.object.metadata.annotations?.[changeCauseAnnotation] ? cause : undefined;
}
