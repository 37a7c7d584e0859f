/** The end of a Job: whether it has come, and what remains to be done after it. Pure. */
import { findCondition } from '../../../lib/model/conditions.ts';
import type { Condition, Job } from '../../../proto/gen/types.ts';
import { whyGivenUp } from './failures.ts';
import type { Tally } from './tally.ts';

export interface End {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

export function endOf(job: Job, tally: Tally, nowMs: number): End | undefined {
  if (tally.fatal !== undefined) return { type: 'Failed', reason: 'PodFailurePolicy', message: tally.fatal };
  const givenUp = whyGivenUp(job, tally.failed, tally.active);
  if (givenUp !== undefined) return { type: 'Failed', reason: 'BackoffLimitExceeded', message: givenUp };
  if (isComplete(job, tally)) {
    const message = 'Reached expected number of succeeded pods';
    return { type: 'Complete', reason: 'CompletionsReached', message };
  }
  if (deadlineAfterMs(job, nowMs) === 0) {
    const message = `Job was active longer than specified deadline, ${job.spec.activeDeadlineSeconds} s`;
    return { type: 'Failed', reason: 'DeadlineExceeded', message };
  }
  return undefined;
}

function isComplete({ spec }: Job, { succeeded, active, terminating, unfinished }: Tally): boolean {
  if (spec.completions !== undefined) return succeeded >= spec.completions;
  return succeeded > 0 && active.length + terminating === 0 && !unfinished;
}

/** Undefined without a deadline, or while the Job is held. */
export function deadlineAfterMs({ spec, status }: Job, nowMs: number): number | undefined {
  const { activeDeadlineSeconds, suspend } = spec;
  if (activeDeadlineSeconds === undefined || suspend || !status?.startTime) return undefined;
  return Math.max(0, Date.parse(status.startTime) + activeDeadlineSeconds * 1000 - nowMs);
}

/** The condition that says so; undefined while the Job goes on. */
export function endCondition({ status }: Job): Condition | undefined {
  return (['Complete', 'Failed'] as const)
    .map((type) => findCondition(status?.conditions, type))
    .find((condition) => condition?.status === 'True');
}

/** When an ended Job goes by itself. */
export function expiresAfterMs(job: Job, end: Condition, nowMs: number): number | undefined {
  const { ttlSecondsAfterFinished } = job.spec;
  if (ttlSecondsAfterFinished === undefined) return undefined;
  const endedMs = Date.parse(end.lastTransitionTime ?? '') || nowMs;
  return Math.max(0, endedMs + ttlSecondsAfterFinished * 1000 - nowMs);
}
