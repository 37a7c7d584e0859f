/** The annotations by which a Deployment's ReplicaSets remember their revision and the size they were meant for. */
import { isDeleting } from '../../../lib/model/object.ts';
import { changeCauseAnnotation } from '../../../lib/model/rollouts.ts';
import type { KubeObject, ReplicaSet } from '../../../proto/gen/types.ts';
import type { Bounds } from './rolling-update.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
const maxAnnotation = 'deployment.kubernetes.io/max-replicas';
export const defaultHistoryLimit = 10;

export function revisionNumber(object: KubeObject): number {
  return numberIn(object, revisionAnnotation) ?? 0;
}

/** spec.replicas of the Deployment when the ReplicaSet was last sized. */
export function desiredBefore(replicaSet: ReplicaSet): number | undefined {
  return numberIn(replicaSet, desiredAnnotation);
}

export function maxBefore(replicaSet: ReplicaSet): number | undefined {
  return numberIn(replicaSet, maxAnnotation);
}

function numberIn(object: KubeObject, annotation: string): number | undefined {
  const text = object.metadata.annotations?.[annotation];
  const value = Number(text);
  return text !== undefined && Number.isInteger(value) ? value : undefined;
}

export function sizeAnnotations({ replicas, maxSurge }: Bounds): Record<string, string> {
  return { [desiredAnnotation]: `${replicas}`, [maxAnnotation]: `${replicas > 0 ? replicas + maxSurge : 0}` };
}

/** What `rollout history` shows as the reason of a revision. */
export function changeCause(deployment: KubeObject): Record<string, string> {
  const cause = deployment.metadata.annotations?.[changeCauseAnnotation];
  return cause === undefined ? {} : { [changeCauseAnnotation]: cause };
}

/** The oldest revisions beyond those kept for undo; only empty ones go. */
export function outlivedRevisions(
  old: readonly { replicaSet: ReplicaSet; pods: number }[],
  limit: number,
): ReplicaSet[] {
  const empty = old.filter(
    ({ replicaSet, pods }) => pods === 0 && replicaSet.spec.replicas === 0 && !isDeleting(replicaSet),
  );
  const byRevision = empty.map(({ replicaSet }) => replicaSet).sort((a, b) => revisionNumber(a) - revisionNumber(b));
  return byRevision.slice(0, Math.max(0, byRevision.length - limit));
}
