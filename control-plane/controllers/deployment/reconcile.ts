/**
 * Deployment: moves its pods from one template to the next through ReplicaSets, one for each template.
 *
 * - It decides from the pods themselves, not from the ReplicaSets' counts, which are a step behind.
 * - All that one pass decides (sizes, a new ReplicaSet, status, clean-up) is one transaction.
 * - Writes: its ReplicaSets (creation, `spec.replicas`, `spec.minReadySeconds`, revision and size annotations, deletion),
 *   its own `status` and revision annotation. Never its `spec`.
 */
import { findCondition } from '../../../lib/model/conditions.ts';
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { copyNamesOf, isAutoRollback } from '../../../lib/model/rollouts.ts';
import type { Deployment } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { adoptions } from '../adoption.ts';
import { batchOf } from '../batch.ts';
import { type ConfiguredTemplate, configuredTemplate, outlivedCopies } from '../configuration/copies.ts';
import { originalGone } from '../configuration/original-gone.ts';
import { isNamespaceOpen } from '../owned.ts';
import { nextAvailabilityMs } from '../replica-set/reconcile.ts';
import { withoutRequest } from '../rollback.ts';
import { boundsOf } from './bounds.ts';
import { causeNoted } from './cause.ts';
import { cleanUp } from './clean-up.ts';
import { alarms, configurationChanged, scaled } from './events.ts';
import { activePods, countsOf, planOf } from './family.ts';
import { obstacleTo } from './obstacle.ts';
import { deadlineAfterMs, deadlineExceeded } from './progress.ts';
import { changedReplicaSet, newReplicaSet } from './replica-sets.ts';
import { revisionAnnotation, revisionNumber } from './revisions.ts';
import type { Rollout } from './rollout.ts';
import { planSizes } from './sizes.ts';
import { statusOf } from './status.ts';
import { templateHash } from './template.ts';
import { goBack, wayBackOf } from './way-back.ts';

type Events = NonNullable<ReconcileResult['events']>;

/** Copies of configuration made in one transaction; those that are large take several. */
const mostCopies = 50;

export function reconcileDeployment(snapshot: Snapshot, deployment: Deployment, nowMs: number): ReconcileResult {
  if (isDeleting(deployment) || !isNamespaceOpen(snapshot, deployment.metadata.namespace)) return { changes: [] };
  const adopted = adoptions(snapshot, deployment, ['ReplicaSet']);
  if (adopted.length > 0) return { changes: adopted };
  const { paused = false } = deployment.spec;
  const configured = configuredTemplate(snapshot, deployment);
  if (configured.missing.length > 0 && !paused) return { changes: batchOf(configured.missing, mostCopies) };
  const bounds = boundsOf(deployment);
  const plan = planOf(snapshot, deployment, configured, nowMs);
  const { family, inForce, waitsFor } = plan;
  const { sizes, createNewest: toCreate } = planSizes(deployment, family, bounds);
  const createNewest = configured.waitsFor === undefined ? toCreate : undefined;

  const changes: Change[] = [];
  const events: Events[number][] = [...inForce.events];
  const lastRevision = Math.max(0, ...family.old.map(({ replicaSet }) => revisionNumber(replicaSet)));
  const revision = Math.max(lastRevision + 1, family.newest ? revisionNumber(family.newest.replicaSet) : 1);
  let newestName = family.newest?.replicaSet.metadata.name;
  let { collisionCount = 0 } = deployment.status ?? {};
  let began: Rollout['began'];

  if (family.newest && revision !== revisionNumber(family.newest.replicaSet)) began = 'found';
  if (createNewest !== undefined) {
    const named = freeName(snapshot, deployment, configured, collisionCount);
    collisionCount = named.collisions;
    const withCause = causeNoted(deployment, plan, configured.names);
    const sizing = { size: createNewest, revision, bounds, withCause };
    const replicaSet = newReplicaSet(deployment, configured, named.hash, sizing);
    newestName = replicaSet.metadata.name;
    began = 'created';
    changes.push({ type: 'create', object: replicaSet });
    if (createNewest > 0) events.push(scaled(deployment, newestName, 0, createNewest));
  }
  if (began) events.push(...configurationChanged(deployment, plan, configured, revision));
  if (family.newest && waitsFor === undefined) events.push(...originalGone(snapshot, deployment, configured));
  // Why a revision was made is said of the template that it was made from.
  const isOwn = inForce.rollback?.reason !== deadlineExceeded && waitsFor === undefined;
  for (const [member, size] of sizes) {
    const isNewest = member === family.newest;
    const withCause = began === 'found' && causeNoted(deployment, plan, copyNamesOf(member.replicaSet));
    const sizing = { size, bounds, ...(isNewest && { revision, isOwn, ...(withCause && { withCause }) }) };
    const object = changedReplicaSet(member.replicaSet, deployment, sizing);
    if (object) changes.push({ type: 'update', object });
    const { wanted, replicaSet } = member;
    if (size !== wanted) events.push(scaled(deployment, replicaSet.metadata.name, wanted, size));
  }

  const replicaFailure = findCondition(family.newest?.replicaSet.status?.conditions, 'ReplicaFailure');
  const wayBack = wayBackOf(deployment, family, inForce);
  const rollout: Rollout = {
    counts: countsOf(plan, sizes, createNewest ?? 0),
    bounds,
    revision,
    collisionCount,
    ...(newestName !== undefined && { newest: newestName }),
    ...(began && { began }),
    ...(waitsFor !== undefined && { waitsFor }),
    obstacle: () => obstacleTo(snapshot, family),
    ...(replicaFailure?.status === 'True' && { replicaFailure }),
    ...(inForce.rollback && { rollback: inForce.rollback }),
    ...(isAutoRollback(deployment) && !wayBack && { noWayBack: 'no earlier revision was complete to go back to' }),
  };
  const reported = statusOf(deployment, rollout, nowMs);
  const back = wayBack && !paused ? goBack(deployment, reported, rollout, wayBack, configured) : undefined;
  const status = back?.status ?? reported;
  events.push(...alarms(deployment, status), ...(back ? [back.event] : []));
  changes.push(
    ...cleanUp(deployment, family, sizes, rollout),
    ...outlivedCopies(snapshot, deployment, plan.all, configured.names),
  );
  const known = newestName === undefined ? undefined : revision;
  const updated = withoutRequest(withRevision({ ...deployment, status }, known));
  if (!isSame(updated, deployment)) changes.push({ type: 'update', object: updated });

  const requeueAfterMs = earliest(
    deadlineAfterMs(deployment, status.conditions ?? [], nowMs),
    nextAvailabilityMs(activePods(family), deployment.spec.minReadySeconds ?? 0, nowMs),
  );
  return { changes, events, ...(requeueAfterMs !== undefined && { requeueAfterMs }) };
}

/** A hash whose ReplicaSet name nobody else has. */
function freeName(
  snapshot: Snapshot,
  deployment: Deployment,
  { template }: ConfiguredTemplate,
  from: number,
): { hash: string; collisions: number } {
  const { name, namespace } = deployment.metadata;
  for (let collisions = from; ; collisions += 1) {
    const hash = templateHash(template, collisions);
    if (!snapshot.get('ReplicaSet', namespace, `${name}-${hash}`)) return { hash, collisions };
  }
}

function withRevision(deployment: Deployment, revision: number | undefined): Deployment {
  if (revision === undefined) return deployment;
  const annotations = { ...deployment.metadata.annotations, [revisionAnnotation]: `${revision}` };
  return { ...deployment, metadata: { ...deployment.metadata, annotations } };
}

function earliest(...delays: readonly (number | undefined)[]): number | undefined {
  const known = delays.filter((delay) => delay !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
