/** How large each of a Deployment's ReplicaSets should be now: by scaling, by its strategy, or as it is while paused. */
import type { Deployment, Pod, ReplicaSet } from '../../../proto/gen/types.ts';
import { isRollingUpdate } from './bounds.ts';
import { scaleInProportion } from './proportional.ts';
import { desiredBefore, maxBefore } from './revisions.ts';
import { type Bounds, rollingUpdate, type Size } from './rolling-update.ts';

export interface Member extends Size {
  readonly replicaSet: ReplicaSet;
  /** All its pods, also those on their way out. */
  readonly pods: readonly Pod[];
  /** Active pods that are ready. */
  readonly ready: number;
}

export interface Family {
  /** Made from the Deployment's present template. */
  readonly newest?: Member;
  /** Oldest first. */
  readonly old: readonly Member[];
}

export interface SizePlan {
  /** For every member. */
  readonly sizes: ReadonlyMap<Member, number>;
  /** Set when the newest ReplicaSet is to be made, with its size. */
  readonly createNewest?: number;
}

const none: Size = { wanted: 0, active: 0, available: 0 };

export function planSizes(deployment: Deployment, family: Family, bounds: Bounds): SizePlan {
  const members = family.newest ? [...family.old, family.newest] : [...family.old];
  const active = members.filter(({ wanted }) => wanted > 0);
  const isScaled = active.some(({ replicaSet }) => (desiredBefore(replicaSet) ?? bounds.replicas) !== bounds.replicas);
  if (deployment.spec.paused || isScaled) return { sizes: scale(deployment, family, members, active, bounds) };
  return isRollingUpdate(deployment) ? roll(family, bounds) : recreate(family, bounds);
}

function roll({ newest, old }: Family, bounds: Bounds): SizePlan {
  const plan = rollingUpdate(newest ?? none, old, bounds);
  const sizes = new Map(old.map((member, index) => [member, plan.old[index]!]));
  return newest ? { sizes: sizes.set(newest, plan.newest) } : { sizes, createNewest: plan.newest };
}

/** Nothing new before the last of the old is gone, also those that are still stopping. */
function recreate({ newest, old }: Family, { replicas }: Bounds): SizePlan {
  const sizes = new Map(old.map((member) => [member, 0]));
  const isClear = old.every(({ wanted, pods }) => wanted === 0 && pods.every(hasEnded));
  if (newest) return { sizes: sizes.set(newest, isClear ? replicas : newest.wanted) };
  return isClear ? { sizes, createNewest: replicas } : { sizes };
}

function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function scale(
  deployment: Deployment,
  { newest, old }: Family,
  members: readonly Member[],
  active: readonly Member[],
  bounds: Bounds,
): Map<Member, number> {
  const sizes = new Map(members.map((member) => [member, member.wanted]));
  const only = active.length === 1 ? active[0] : active.length === 0 ? (newest ?? old.at(-1)) : undefined;
  if (only) sizes.set(only, bounds.replicas);
  else if (newest && isSaturated(newest, bounds)) for (const member of old) sizes.set(member, 0);
  else if (isRollingUpdate(deployment)) {
    const parts = active.map((member) => ({
      wanted: member.wanted,
      maxBefore: maxBefore(member.replicaSet) ?? deployment.status?.replicas ?? member.wanted,
    }));
    const scaled = scaleInProportion(parts, bounds);
    for (const [index, member] of active.entries()) sizes.set(member, scaled[index]!);
  }
  return sizes;
}

function isSaturated(newest: Member, { replicas }: Bounds): boolean {
  return newest.wanted === replicas && desiredBefore(newest.replicaSet) === replicas && newest.available === replicas;
}
