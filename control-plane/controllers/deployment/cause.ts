/** Notes on a Deployment's newest ReplicaSet why it has become that. Pure. */
import type { CopyNames } from '../../../lib/model/rollouts.ts';
import type { Deployment } from '../../../proto/gen/types.ts';
import { withCause } from '../rollout-cause.ts';
import { originalTemplate, type Plan } from './family.ts';
import { revisionNumber } from './revisions.ts';

/** `names`: the copies that the ReplicaSet names. */
export function causeNoted(
  workload: Deployment,
  { family, inForce }: Plan,
  names: CopyNames,
): (annotations: Readonly<Record<string, string>>) => Record<string, string> {
  const former = family.old.at(-1)?.replicaSet;
  const wasNumber = family.newest && revisionNumber(family.newest.replicaSet);
  const { isAsked = false, rollback } = inForce;
  return (annotations) =>
    withCause(annotations, {
      workload,
      names,
      ...(former && {
        former: { object: former, number: revisionNumber(former), template: originalTemplate(former) },
      }),
      ...(wasNumber && { wasNumber }),
      isAsked,
      rollback,
    });
}
