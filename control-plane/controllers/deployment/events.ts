/** What a Deployment's turn has to say. Pure. */
import { findCondition } from '../../../lib/model/conditions.ts';
import { copyNamesOf } from '../../../lib/model/rollouts.ts';
import type { Deployment, DeploymentStatus } from '../../../proto/gen/types.ts';
import type { ReconcileResult } from '../../state/snapshot.ts';
import { type ConfiguredTemplate, changedContent } from '../configuration/copies.ts';
import { isMadeFrom, type Plan } from './family.ts';
import { deadlineExceeded } from './progress.ts';
import { rollbackFailed } from './rolled-back.ts';

type Events = NonNullable<ReconcileResult['events']>;

export function scaled(about: Deployment, name: string, from: number, to: number): Events[number] {
  const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${name} from ${from} to ${to}`;
  return { type: 'Normal', reason: 'ScalingReplicaSet', message, about };
}

/** Why there is another revision of the same template. */
export function configurationChanged(
  about: Deployment,
  { family, inForce }: Plan,
  { names }: ConfiguredTemplate,
  revision: number,
): Events {
  const former = family.old.at(-1)?.replicaSet;
  if (!former || inForce.instead || inForce.isAsked || !isMadeFrom(former, about)) return [];
  return changedContent(about, copyNamesOf(former), names, revision);
}

/** What a condition has begun to say in this turn. */
export function alarms(about: Deployment, { conditions, rollback }: DeploymentStatus): Events {
  const isNew = (type: string, reason: string): boolean =>
    findCondition(conditions, type)?.reason === reason &&
    findCondition(about.status?.conditions, type)?.reason !== reason;
  const alarm = (type: string, reason: string): Events => {
    const message = findCondition(conditions, type)?.message ?? '';
    return isNew(type, reason) ? [{ type: 'Warning', reason, message, about }] : [];
  };
  const isTold = rollback?.reason === deadlineExceeded && about.status?.rollback !== undefined; // and was paused since
  return [...(isTold ? [] : alarm('Progressing', deadlineExceeded)), ...alarm('RolledBack', rollbackFailed)];
}
