/**
 * The next steps of a StatefulSet: which pods to make, which to delete. Pure.
 *
 * OrderedReady takes one step at a time, and none while a pod before it is not available; Parallel makes and removes all
 * at once. Updates go from the highest number down to the partition, one pod at a time, in both.
 *
 * One thing is other than in Kubernetes: a pod that does not work and is of a template that it should no longer be of is
 * replaced without waiting for it, so that going back mends a rollout that got stuck.
 */
import { isDeleting } from '../../../lib/model/object.ts';
import { isPodAvailable, isPodFinished } from '../../../lib/model/pods.ts';
import type { ControllerRevision, Pod, StatefulSet } from '../../../proto/gen/types.ts';
import { hashOf } from '../template-history.ts';
import { wantedOrdinals } from './identity.ts';

export interface Revisions {
  readonly current: ControllerRevision;
  readonly update: ControllerRevision;
}

export interface Step {
  readonly create: readonly { readonly ordinal: number; readonly revision: ControllerRevision }[];
  readonly remove: readonly Pod[];
}

/** `pods`: by number; all that exist under the StatefulSet's names and are its own. */
export function nextSteps(
  statefulSet: StatefulSet,
  pods: ReadonlyMap<number, Pod>,
  revisions: Revisions,
  nowMs: number,
): Step {
  const { minReadySeconds = 0, podManagementPolicy } = statefulSet.spec;
  const ordinals = wantedOrdinals(statefulSet);
  const isHealthy = (pod: Pod | undefined): boolean =>
    pod !== undefined && !isDeleting(pod) && !isPodFinished(pod) && isPodAvailable(pod, minReadySeconds, nowMs);
  const family: Family = { statefulSet, pods, ordinals, revisions, isHealthy };
  return podManagementPolicy === 'Parallel' ? allAtOnce(family) : oneByOne(family);
}

interface Family {
  readonly statefulSet: StatefulSet;
  readonly pods: ReadonlyMap<number, Pod>;
  readonly ordinals: readonly number[];
  readonly revisions: Revisions;
  isHealthy(pod: Pod | undefined): boolean;
}

const nothing: Step = { create: [], remove: [] };
const removing = (...remove: readonly Pod[]): Step => ({ create: [], remove });

function oneByOne(family: Family): Step {
  const { pods, ordinals, isHealthy } = family;
  for (const ordinal of ordinals) {
    const pod = pods.get(ordinal);
    if (!pod) return { create: [{ ordinal, revision: revisionFor(family, ordinal) }], remove: [] };
    if (isDeleting(pod)) return nothing;
    if (isPodFinished(pod)) return removing(pod);
    if (!isHealthy(pod)) return isStuck(family, ordinal, pod) ? removing(pod) : nothing;
  }
  const [highest] = surplus(family);
  if (highest) return isDeleting(highest) ? nothing : removing(highest);
  return update(family);
}

function allAtOnce(family: Family): Step {
  const { pods, ordinals } = family;
  const create = ordinals
    .filter((ordinal) => !pods.has(ordinal))
    .map((ordinal) => ({ ordinal, revision: revisionFor(family, ordinal) }));
  const present = ordinals.flatMap((ordinal) => {
    const pod = pods.get(ordinal);
    return pod && !isDeleting(pod) ? [{ ordinal, pod }] : [];
  });
  const broken = present
    .filter(({ ordinal, pod }) => isPodFinished(pod) || (!family.isHealthy(pod) && isStuck(family, ordinal, pod)))
    .map(({ pod }) => pod);
  const remove = [...broken, ...surplus(family).filter((pod) => !isDeleting(pod))];
  return create.length + remove.length > 0 ? { create, remove } : update(family);
}

/** Numbers that there should not be, the highest first. */
function surplus({ pods, ordinals }: Family): readonly Pod[] {
  const wanted = new Set(ordinals);
  const beyond = [...pods].filter(([ordinal]) => !wanted.has(ordinal)).sort(([a], [b]) => b - a);
  return beyond.map(([, pod]) => pod);
}

/** From the highest down: a pod that is not available yet holds up those below it. */
function update(family: Family): Step {
  const { statefulSet, pods, ordinals, revisions, isHealthy } = family;
  if (statefulSet.spec.updateStrategy?.type === 'OnDelete') return nothing;
  for (const ordinal of ordinals.toReversed()) {
    if (ordinal < partitionOf(statefulSet)) return nothing;
    const pod = pods.get(ordinal);
    if (!pod || isDeleting(pod)) return nothing;
    if (hashOf(pod) !== hashOf(revisions.update)) return removing(pod);
    if (!isHealthy(pod)) return nothing;
  }
  return nothing;
}

/** It never became what was wanted, and what is wanted now is something else. */
function isStuck(family: Family, ordinal: number, pod: Pod): boolean {
  if (family.statefulSet.spec.updateStrategy?.type === 'OnDelete') return false;
  return hashOf(pod) !== hashOf(revisionFor(family, ordinal));
}

function revisionFor({ statefulSet, revisions }: Family, ordinal: number): ControllerRevision {
  return ordinal < partitionOf(statefulSet) ? revisions.current : revisions.update;
}

/** Numbers below it keep the former template; with OnDelete none do. */
export function partitionOf({ spec }: StatefulSet): number {
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  return type === 'OnDelete' ? 0 : (rollingUpdate?.partition ?? 0);
}
