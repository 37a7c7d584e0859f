/** Which ReplicaSets a Deployment no longer keeps for undo. Pure. */
import type { Deployment } from '../../../proto/gen/types.ts';
import type { Change } from '../../state/snapshot.ts';
import { defaultHistoryLimit, outlivedRevisions } from './revisions.ts';
import { isComplete, type Rollout } from './rollout.ts';
import type { Family, Member } from './sizes.ts';

/** More than this over the limit go even while no rollout completes, as when configuration changes all the time. */
const patience = 10;

export function cleanUp(
  deployment: Deployment,
  family: Family,
  sizes: ReadonlyMap<Member, number>,
  rollout: Rollout,
): Change[] {
  const isSpare = ({ replicaSet, wanted }: Member, size: number): boolean =>
    size === wanted && replicaSet.metadata.name !== deployment.status?.completeReplicaSet;
  const isOver = isComplete(rollout);
  const untouched = family.old.filter((member) => {
    const size = sizes.get(member) ?? member.wanted;
    return isOver ? size === member.wanted : isSpare(member, size);
  });
  const candidates = untouched.map(({ replicaSet, pods }) => ({ replicaSet, pods: pods.length }));
  const { revisionHistoryLimit: limit = defaultHistoryLimit } = deployment.spec;
  const outlived = outlivedRevisions(candidates, isOver ? limit : limit + patience);
  return outlived.map((object) => ({ type: 'delete', object }));
}
