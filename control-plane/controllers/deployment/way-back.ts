/** The way back of a rollout that missed its deadline (annotation gantry.dev/auto-rollback). Pure. */
import { findCondition } from '../../../lib/model/conditions.ts';
import { isAutoRollback } from '../../../lib/model/rollouts.ts';
import type { Deployment, DeploymentStatus, ReplicaSet } from '../../../proto/gen/types.ts';
import type { ReconcileResult } from '../../state/snapshot.ts';
import type { ConfiguredTemplate } from '../configuration/copies.ts';
import type { InForce } from '../rollback.ts';
import { deadlineExceeded } from './progress.ts';
import { revisionNumber } from './revisions.ts';
import type { Rollout } from './rollout.ts';
import type { Family, Member } from './sizes.ts';
import { templateHash } from './template.ts';

type Events = NonNullable<ReconcileResult['events']>;

/** The last revision that was complete, when the rollout of another one may be given up for it. */
export function wayBackOf(
  deployment: Deployment,
  { newest, old }: Family,
  { rollback }: InForce<ReplicaSet>,
): Member | undefined {
  if (!isAutoRollback(deployment) || rollback?.reason === deadlineExceeded) return undefined;
  const { completeReplicaSet } = deployment.status ?? {};
  if (newest?.replicaSet.metadata.name === completeReplicaSet) return undefined;
  return old.find(({ replicaSet }) => replicaSet.metadata.name === completeReplicaSet);
}

/** Undefined while the deadline is not missed. The next turn sizes the ReplicaSets accordingly. */
export function goBack(
  deployment: Deployment,
  status: DeploymentStatus,
  rollout: Rollout,
  { replicaSet }: Member,
  { template }: ConfiguredTemplate,
): { readonly status: DeploymentStatus; readonly event: Events[number] } | undefined {
  const progressing = findCondition(status.conditions, 'Progressing');
  if (progressing?.reason !== deadlineExceeded || rollout.waitsFor !== undefined) return undefined;
  const { name } = replicaSet.metadata;
  const way = `from revision ${rollout.revision} to revision ${revisionNumber(replicaSet)}`;
  const done = `rolled back ${way} (ReplicaSet "${name}"), now revision ${rollout.revision + 1}`;
  const message = `${progressing.message}; ${done}`;
  const rollback = {
    passedOver: templateHash(template, 0),
    revision: name,
    reason: deadlineExceeded,
    message,
  } as const;
  const event = { type: 'Warning', reason: 'DeploymentRollback', message, about: deployment } as const;
  const told = { ...progressing, message };
  const conditions = (status.conditions ?? []).map((one) => (one === progressing ? told : one));
  return { status: { ...status, conditions, rollback }, event };
}
