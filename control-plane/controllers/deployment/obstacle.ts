/** What keeps a Deployment's rollout from its end, as far as the snapshot tells. Pure. */
import { findCondition } from '../../../lib/model/conditions.ts';
import { obstacleOf } from '../../../lib/model/obstacle.ts';
import type { Pod } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import type { Family } from './sizes.ts';

export function obstacleTo(snapshot: Snapshot, { newest, old }: Family): string | undefined {
  const failure = findCondition(newest?.replicaSet.status?.conditions, 'ReplicaFailure');
  const message = failure?.status === 'True' ? failure.message : undefined;
  return obstacleOf(newest?.pods ?? [], {
    ...(message !== undefined && { replicaFailure: message }),
    oldPods: old.flatMap(({ pods }) => pods),
    complaintAbout: (pod) => lastComplaint(snapshot, pod),
  });
}

/** What probes said stands in Events only. */
function lastComplaint(snapshot: Snapshot, { metadata }: Pod): string | undefined {
  const about = snapshot
    .list('Event', metadata.namespace)
    .filter(({ involvedObject, reason }) => involvedObject?.uid === metadata.uid && reason === 'Unhealthy');
  return about.sort((a, b) => ((a.lastTimestamp ?? '') < (b.lastTimestamp ?? '') ? -1 : 1)).at(-1)?.message;
}
