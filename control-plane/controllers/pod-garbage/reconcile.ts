/**
 * Finished pods are kept for people to look at, but each holds an address, logs and files of its node: beyond a number
 * on one node, the oldest go. One that its Job has not counted yet stays.
 */
import { controllerOf, isDeleting } from '../../../lib/model/object.ts';
import { isPodFinished } from '../../../lib/model/pods.ts';
import type { Pod } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { batchOf } from '../batch.ts';
import { isCounted } from '../job/pods.ts';

/** With the 110 pods that a node takes, less than the 253 addresses it has. */
export const finishedKeptPerNode = 100;
const mostPerTransaction = 100;

export function collectFinishedPods(snapshot: Snapshot, nodeName: string): ReconcileResult {
  const finished = snapshot.podsOnNode(nodeName).filter((pod) => isPodFinished(pod) && !isDeleting(pod));
  if (finished.length <= finishedKeptPerNode) return { changes: [] };
  const byAge = finished.filter((pod) => !isAwaited(snapshot, pod)).sort(olderFirst);
  const outlived = byAge.slice(0, finished.length - finishedKeptPerNode);
  const deletions = outlived.map((object): Change => ({ type: 'delete', object, gracePeriodSeconds: 1 }));
  return { changes: batchOf(deletions, mostPerTransaction) };
}

function isAwaited(snapshot: Snapshot, pod: Pod): boolean {
  const owner = controllerOf(pod);
  return owner?.kind === 'Job' && !isCounted(pod) && snapshot.byUID(owner.uid) !== undefined;
}

function olderFirst(a: Pod, b: Pod): number {
  const [first, second] = [a, b].map(({ metadata }) => `${metadata.creationTimestamp} ${metadata.name}`);
  return first! < second! ? -1 : first! > second! ? 1 : 0;
}
