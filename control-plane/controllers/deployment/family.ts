/** A Deployment's ReplicaSets with their pods: which of them all pods are to be of, and how far that has come. Pure. */
import { isDeleting } from '../../../lib/model/object.ts';
import { isPodActive, isPodAvailable, isPodReady } from '../../../lib/model/pods.ts';
import { copyNamesOf, withOriginalNames } from '../../../lib/model/rollouts.ts';
import type { Deployment, Pod, PodTemplateSpec, ReplicaSet } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import type { ConfiguredTemplate } from '../configuration/copies.ts';
import { controlledBy } from '../owned.ts';
import { type InForce, rollbackInForce } from '../rollback.ts';
import { deadlineExceeded } from './progress.ts';
import { revisionNumber } from './revisions.ts';
import type { Counts } from './rollout.ts';
import type { Family, Member } from './sizes.ts';
import { findByTemplate, isSameTemplate, templateHash, withoutHash } from './template.ts';

export interface Plan {
  readonly family: Family;
  /** All its ReplicaSets, also those on their way out. */
  readonly all: readonly ReplicaSet[];
  /** Made from the template; another than `family.newest` while a former revision runs in its place. */
  readonly own?: Member;
  readonly inForce: InForce<ReplicaSet>;
  /** Set while the template cannot be rolled out. */
  readonly waitsFor?: string;
}

export function planOf(
  snapshot: Snapshot,
  deployment: Deployment,
  { template, waitsFor }: ConfiguredTemplate,
  nowMs: number,
): Plan {
  const all = controlledBy(snapshot, deployment, 'ReplicaSet');
  const replicaSets = all
    .filter((replicaSet) => !isDeleting(replicaSet))
    .sort((a, b) => revisionNumber(a) - revisionNumber(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
  const own = findByTemplate(replicaSets, template);
  const inForce = rollbackInForce(deployment, () => templateHash(template, 0), replicaSets, own);
  // While something is missing, what runs goes on; it may even be all that is wanted, but for the original's loss.
  const newest = inForce.instead ?? own ?? (waitsFor === undefined ? undefined : replicaSets.at(-1));
  const isHeld = waitsFor !== undefined && !inForce.instead && !(newest && isMadeFrom(newest, deployment));
  const members = new Map(replicaSets.map((one) => [one, memberOf(snapshot, deployment, one, nowMs)]));
  const old = [...members].flatMap(([replicaSet, member]) => (replicaSet === newest ? [] : [member]));
  return {
    family: newest ? { newest: members.get(newest)!, old } : { old },
    all,
    ...(own && { own: members.get(own)! }),
    inForce,
    ...(isHeld && { waitsFor }),
  };
}

/** From the same template, be it with other content. */
export function isMadeFrom(replicaSet: ReplicaSet, { spec }: Deployment): boolean {
  return isSameTemplate(originalTemplate(replicaSet), spec.template);
}

/** As its author wrote it. */
export function originalTemplate(replicaSet: ReplicaSet): PodTemplateSpec {
  return withoutHash(withOriginalNames(replicaSet.spec.template, copyNamesOf(replicaSet)));
}

function memberOf(snapshot: Snapshot, deployment: Deployment, replicaSet: ReplicaSet, nowMs: number): Member {
  const pods = controlledBy(snapshot, replicaSet, 'Pod');
  const active = pods.filter(isPodActive);
  const { minReadySeconds = 0 } = deployment.spec;
  return {
    replicaSet,
    pods,
    wanted: replicaSet.spec.replicas ?? 1,
    active: active.length,
    ready: active.filter(isPodReady).length,
    available: active.filter((pod) => isPodAvailable(pod, minReadySeconds, nowMs)).length,
  };
}

function membersOf({ newest, old }: Family): readonly Member[] {
  return newest ? [...old, newest] : old;
}

export function activePods(family: Family): readonly Pod[] {
  return membersOf(family).flatMap(({ pods }) => pods.filter(isPodActive));
}

export function countsOf(
  { family, own, inForce, waitsFor }: Plan,
  sizes: ReadonlyMap<Member, number>,
  created: number,
): Counts {
  const members = membersOf(family);
  const total = (count: (member: Member) => number): number => members.reduce((sum, member) => sum + count(member), 0);
  const updated = family.newest?.active ?? 0;
  const passedOver = inForce.rollback?.reason === deadlineExceeded;
  return {
    replicas: total(({ active }) => active),
    updated,
    ofTemplate: waitsFor !== undefined ? 0 : passedOver ? (own?.active ?? 0) : updated,
    ready: total(({ ready }) => ready),
    available: total(({ available }) => available),
    wanted: total((member) => sizes.get(member) ?? member.wanted) + created,
  };
}
