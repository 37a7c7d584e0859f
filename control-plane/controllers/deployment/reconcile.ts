/**
 * Deployment: moves its pods from one template to the next through ReplicaSets, one for each template.
 *
 * - It decides from the pods themselves, not from the ReplicaSets' counts, which are a step behind.
 * - All that one pass decides (sizes, a new ReplicaSet, status, clean-up) is one transaction.
 * - Writes: its ReplicaSets (creation, `spec.replicas`, `spec.minReadySeconds`, revision and size annotations, deletion),
 *   its own `status` and revision annotation. Never its `spec`.
 */
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { isPodActive, isPodAvailable, isPodReady } from '../../../lib/model/pods.ts';
import type { Deployment, Pod, ReplicaSet } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { controlledBy, isNamespaceOpen } from '../owned.ts';
import { nextAvailabilityMs } from '../replica-set/reconcile.ts';
import { boundsOf } from './bounds.ts';
import { obstacleOf } from './obstacle.ts';
import { changedReplicaSet, newReplicaSet } from './replica-sets.ts';
import { outlivedRevisions, revisionAnnotation, revisionNumber } from './revisions.ts';
import { type Family, type Member, planSizes } from './sizes.ts';
import { type Counts, deadlineAfterMs, isComplete, type Rollout, statusOf } from './status.ts';
import { findByTemplate, templateHash } from './template.ts';

type Events = NonNullable<ReconcileResult['events']>;

export function reconcileDeployment(snapshot: Snapshot, deployment: Deployment, nowMs: number): ReconcileResult {
  if (isDeleting(deployment) || !isNamespaceOpen(snapshot, deployment.metadata.namespace)) return { changes: [] };
  const bounds = boundsOf(deployment);
  const family = familyOf(snapshot, deployment, nowMs);
  const { sizes, createNewest } = planSizes(deployment, family, bounds);

  const changes: Change[] = [];
  const events: Events[number][] = [];
  const lastRevision = Math.max(0, ...family.old.map(({ replicaSet }) => revisionNumber(replicaSet)));
  const revision = Math.max(lastRevision + 1, family.newest ? revisionNumber(family.newest.replicaSet) : 1);
  let newestName = family.newest?.replicaSet.metadata.name;
  let { collisionCount = 0 } = deployment.status ?? {};
  let began: Rollout['began'];

  if (family.newest && revision !== revisionNumber(family.newest.replicaSet)) began = 'found';
  if (createNewest !== undefined) {
    const named = freeName(snapshot, deployment, collisionCount);
    collisionCount = named.collisions;
    const replicaSet = newReplicaSet(deployment, named.hash, { size: createNewest, revision, bounds });
    newestName = replicaSet.metadata.name;
    began = 'created';
    changes.push({ type: 'create', object: replicaSet });
    if (createNewest > 0) events.push(scaled(deployment, newestName, 0, createNewest));
  }
  for (const [member, size] of sizes) {
    const isNewest = member === family.newest;
    const object = changedReplicaSet(member.replicaSet, deployment, { size, bounds, ...(isNewest && { revision }) });
    if (object) changes.push({ type: 'update', object });
    const { wanted, replicaSet } = member;
    if (size !== wanted) events.push(scaled(deployment, replicaSet.metadata.name, wanted, size));
  }

  const counts = countsOf(family, sizes, createNewest ?? 0);
  const obstacle = obstacleOf(family.newest?.pods ?? []);
  const rollout: Rollout = {
    counts,
    bounds,
    collisionCount,
    ...(newestName !== undefined && { newest: newestName }),
    ...(began && { began }),
    ...(obstacle !== undefined && { obstacle }),
  };
  const status = statusOf(deployment, rollout, nowMs);
  if (isComplete(rollout)) changes.push(...cleanUp(deployment, family, sizes));
  const known = newestName === undefined ? undefined : revision;
  const updated = withRevision({ ...deployment, status }, known);
  if (!isSame(updated, deployment)) changes.push({ type: 'update', object: updated });

  const requeueAfterMs = earliest(
    deadlineAfterMs(deployment, status.conditions ?? [], nowMs),
    nextAvailabilityMs(activePods(family), deployment.spec.minReadySeconds ?? 0, nowMs),
  );
  return { changes, events, ...(requeueAfterMs !== undefined && { requeueAfterMs }) };
}

function familyOf(snapshot: Snapshot, deployment: Deployment, nowMs: number): Family {
  const replicaSets = controlledBy(snapshot, deployment, 'ReplicaSet')
    .filter((replicaSet) => !isDeleting(replicaSet))
    .sort((a, b) => revisionNumber(a) - revisionNumber(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
  const newest = findByTemplate(replicaSets, deployment.spec.template);
  const member = (replicaSet: ReplicaSet): Member => memberOf(snapshot, deployment, replicaSet, nowMs);
  const old = replicaSets.filter((replicaSet) => replicaSet !== newest).map(member);
  return newest ? { newest: member(newest), old } : { old };
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

function activePods(family: Family): readonly Pod[] {
  return membersOf(family).flatMap(({ pods }) => pods.filter(isPodActive));
}

function countsOf(family: Family, sizes: ReadonlyMap<Member, number>, created: number): Counts {
  const members = membersOf(family);
  const total = (count: (member: Member) => number): number => members.reduce((sum, member) => sum + count(member), 0);
  return {
    replicas: total(({ active }) => active),
    updated: family.newest?.active ?? 0,
    ready: total(({ ready }) => ready),
    available: total(({ available }) => available),
    wanted: total((member) => sizes.get(member) ?? member.wanted) + created,
  };
}

/** A hash whose ReplicaSet name nobody else has. */
function freeName(snapshot: Snapshot, deployment: Deployment, from: number): { hash: string; collisions: number } {
  const { name, namespace } = deployment.metadata;
  for (let collisions = from; ; collisions += 1) {
    const hash = templateHash(deployment.spec.template, collisions);
    if (!snapshot.get('ReplicaSet', namespace, `${name}-${hash}`)) return { hash, collisions };
  }
}

function cleanUp(deployment: Deployment, family: Family, sizes: ReadonlyMap<Member, number>): Change[] {
  const untouched = family.old.filter((member) => (sizes.get(member) ?? member.wanted) === member.wanted);
  const candidates = untouched.map(({ replicaSet, pods }) => ({ replicaSet, pods: pods.length }));
  const outlived = outlivedRevisions(candidates, deployment.spec.revisionHistoryLimit);
  return outlived.map((object) => ({ type: 'delete', object }));
}

function withRevision(deployment: Deployment, revision: number | undefined): Deployment {
  if (revision === undefined) return deployment;
  const annotations = { ...deployment.metadata.annotations, [revisionAnnotation]: `${revision}` };
  return { ...deployment, metadata: { ...deployment.metadata, annotations } };
}

function scaled(about: Deployment, name: string, from: number, to: number): Events[number] {
  const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${name} from ${from} to ${to}`;
  return { type: 'Normal', reason: 'ScalingReplicaSet', message, about };
}

function earliest(...delays: readonly (number | undefined)[]): number | undefined {
  const known = delays.filter((delay) => delay !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
