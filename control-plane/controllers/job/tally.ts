/** A Job's counts. A pod that ended is counted once, in the transaction that notes so on it. Pure. */
import { isDeleting } from '../../../lib/model/object.ts';
import { isPodActive, isPodFinished } from '../../../lib/model/pods.ts';
import type { Job, Pod } from '../../../proto/gen/types.ts';
import type { Change } from '../../state/snapshot.ts';
import { batchOf } from '../batch.ts';
import { verdictOn } from './failures.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { counted, indexOf, isCounted, isIndexed } from './pods.ts';

export interface Tally {
  readonly active: readonly Pod[];
  readonly terminating: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Indexed only. */
  readonly completed: ReadonlySet<number>;
  /** The notes on finished pods that these counts hold and the stored ones did not. */
  readonly notes: readonly Change[];
  /** Others are finished too, and are counted by the next turn. */
  readonly unfinished: boolean;
  /** A sentence when a pod's failure is the Job's. */
  readonly fatal?: string;
}

/** Counts at most `most` pods more than the stored status does, and no more than have room in one transaction. */
export function tallyOf(job: Job, pods: readonly Pod[], most: number): Tally {
  const uncounted = pods.filter((pod) => isPodFinished(pod) && !isCounted(pod));
  const notes = batchOf(
    uncounted.slice(0, most).map((pod): Change => ({ type: 'update', object: counted(pod) })),
    most,
  );
  const completed = parseIndexes(job.status?.completedIndexes);
  let { succeeded = 0, failed = 0 } = job.status ?? {};
  let fatal: string | undefined;
  for (const pod of uncounted.slice(0, notes.length)) {
    if (pod.status?.phase === 'Succeeded') {
      const index = indexOf(pod);
      if (index !== undefined) completed.add(index);
      succeeded += 1;
    } else if (!isDeleting(pod)) {
      // What was told to stop has not failed by itself.
      const verdict = verdictOn(job, pod);
      if (verdict.action === 'FailJob') fatal ??= verdict.message;
      if (verdict.action !== 'Ignore') failed += 1;
    }
  }
  const { completions = Number.POSITIVE_INFINITY } = job.spec;
  for (const index of completed) if (index >= completions) completed.delete(index);
  return {
    active: pods.filter(isPodActive),
    terminating: pods.filter((pod) => isDeleting(pod) && !isPodFinished(pod)).length,
    succeeded: isIndexed(job) ? completed.size : succeeded,
    failed,
    completed,
    notes,
    unfinished: uncounted.length > notes.length,
    ...(fatal !== undefined && { fatal }),
  };
}

export function completedText(tally: Tally): string {
  return formatIndexes(tally.completed);
}
