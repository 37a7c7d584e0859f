/**
 * CronJob: makes a Job for each time that its schedule names.
 *
 * - A Job is named after the minute it is for and made together with `lastScheduleTime`: no time has two.
 * - Of several times that were missed the last one has its Job, the others have none.
 * - Writes: its Jobs (creation, deletion), its own `status`.
 */
import { timestamp } from '../../../lib/clock.ts';
import { findCondition } from '../../../lib/model/conditions.ts';
import { lastRunMs, nextRunMs } from '../../../lib/model/cron.ts';
import { controllerReference, isControlledBy, isDeleting, isSame } from '../../../lib/model/object.ts';
import type { CronJob, CronJobStatus, Job } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { endCondition } from '../job/end.ts';
import { controlledBy, isNamespaceOpen } from '../owned.ts';

type Events = NonNullable<ReconcileResult['events']>;

const scheduledAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
const mostDeletions = 50;

export function reconcileCronJob(snapshot: Snapshot, cronJob: CronJob, nowMs: number): ReconcileResult {
  if (isDeleting(cronJob) || !isNamespaceOpen(snapshot, cronJob.metadata.namespace)) return { changes: [] };
  const jobs = controlledBy(snapshot, cronJob, 'Job').filter((job) => !isDeleting(job));
  const running = jobs.filter((job) => !endCondition(job));
  const due = cronJob.spec.suspend ? undefined : dueMs(cronJob, nowMs);
  const start = due === undefined ? undefined : startOf(snapshot, cronJob, running, due);
  const outlived = outlivedJobs(cronJob, jobs).map((object): Change => ({ type: 'delete', object }));
  const changes: Change[] = [...outlived, ...(start?.changes ?? [])];
  const status = statusOf(cronJob, jobs, changes, start?.done ? due : undefined);
  if (!isSame(status, cronJob.status ?? {})) changes.push({ type: 'update', object: { ...cronJob, status } });
  const next = cronJob.spec.suspend ? undefined : nextRunMs(cronJob.spec.schedule, zoneOf(cronJob), nowMs);
  return {
    changes,
    events: [...(start?.events ?? []), ...(due === undefined ? missed(cronJob, nowMs) : []), ...ended(cronJob, jobs)],
    ...(next !== undefined && { requeueAfterMs: next - nowMs }),
  };
}

function zoneOf({ spec }: CronJob): string {
  return spec.timeZone ?? 'UTC';
}

/** The last time that has come and has no Job yet. */
function dueMs(cronJob: CronJob, nowMs: number): number | undefined {
  const { schedule, startingDeadlineSeconds } = cronJob.spec;
  const { lastScheduleTime } = cronJob.status ?? {};
  const sinceMs = Date.parse(lastScheduleTime ?? cronJob.metadata.creationTimestamp ?? '') || nowMs;
  const latestMs = startingDeadlineSeconds === undefined ? sinceMs : nowMs - startingDeadlineSeconds * 1000 - 1;
  const fromMs = Math.max(sinceMs, latestMs);
  return fromMs < nowMs ? lastRunMs(schedule, zoneOf(cronJob), fromMs, nowMs) : undefined;
}

/** A time that came, and whose Job could not be started before its deadline. */
function missed(cronJob: CronJob, nowMs: number): Events {
  const { schedule, suspend, startingDeadlineSeconds } = cronJob.spec;
  if (suspend || startingDeadlineSeconds === undefined) return [];
  const { lastScheduleTime } = cronJob.status ?? {};
  const sinceMs = Date.parse(lastScheduleTime ?? cronJob.metadata.creationTimestamp ?? '') || nowMs;
  const last = sinceMs < nowMs ? lastRunMs(schedule, zoneOf(cronJob), sinceMs, nowMs) : undefined;
  if (last === undefined) return [];
  const message = `Missed the time of ${timestamp(last)} by more than startingDeadlineSeconds (${startingDeadlineSeconds} s): it has no Job`;
  return [{ ...normal(cronJob, 'MissSchedule', message), type: 'Warning' }];
}

/** Of those that still ran when the status was written. */
function ended(cronJob: CronJob, jobs: readonly Job[]): Events {
  const before = new Set(cronJob.status?.active?.map(({ uid }) => uid));
  return jobs.flatMap((job) => {
    const end = before.has(job.metadata.uid) ? endCondition(job) : undefined;
    const message = `Saw completed job: ${job.metadata.name}, condition: ${end?.type}`;
    return end ? [normal(cronJob, 'SawCompletedJob', message)] : [];
  });
}

interface Start {
  readonly changes: readonly Change[];
  readonly events: Events;
  /** False: it is still to come. */
  readonly done: boolean;
}

function startOf(snapshot: Snapshot, cronJob: CronJob, running: readonly Job[], due: number): Start {
  const { concurrencyPolicy = 'Allow' } = cronJob.spec;
  if (running.length > 0 && concurrencyPolicy === 'Forbid') {
    const message = `Not starting the Job of ${timestamp(due)}: ${running[0]!.metadata.name} still runs, and concurrencyPolicy is Forbid`;
    return { changes: [], events: [normal(cronJob, 'JobAlreadyActive', message)], done: false };
  }
  const job = newJob(cronJob, due);
  const taken = snapshot.get('Job', job.metadata.namespace, job.metadata.name);
  if (taken) {
    if (isControlledBy(taken, cronJob)) return { changes: [], events: [], done: true };
    const message = `Job ${job.metadata.name} exists already and is not of this CronJob; the run of ${timestamp(due)} is left out`;
    return { changes: [], events: [{ ...normal(cronJob, 'UnexpectedJob', message), type: 'Warning' }], done: true };
  }
  const replaced = concurrencyPolicy === 'Replace' ? running.slice(0, mostDeletions) : [];
  return {
    changes: [...replaced.map((object): Change => ({ type: 'delete', object })), { type: 'create', object: job }],
    events: [
      ...replaced.map(({ metadata }) => normal(cronJob, 'SuccessfulDelete', `Deleted job ${metadata.name}`)),
      normal(cronJob, 'SuccessfulCreate', `Created job ${job.metadata.name}`),
    ],
    done: true,
  };
}

function normal(about: CronJob, reason: string, message: string): Events[number] {
  return { type: 'Normal', reason, message, about };
}

function newJob(cronJob: CronJob, due: number): Job {
  const { name, namespace = 'default' } = cronJob.metadata;
  const { metadata, spec } = cronJob.spec.jobTemplate;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${name}-${Math.floor(due / 60_000)}`,
      namespace,
      ...(metadata?.labels && { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [scheduledAnnotation]: timestamp(due) },
      ownerReferences: [controllerReference(cronJob)],
    },
    spec,
  };
}

/** The oldest that ended, beyond those kept of each outcome. */
function outlivedJobs({ spec }: CronJob, jobs: readonly Job[]): readonly Job[] {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = spec;
  const beyond = (type: 'Complete' | 'Failed', limit: number): readonly Job[] => {
    const ended = jobs.filter((job) => endCondition(job)?.type === type).sort(olderFirst);
    return ended.slice(0, Math.max(0, ended.length - limit));
  };
  return [...beyond('Complete', successfulJobsHistoryLimit), ...beyond('Failed', failedJobsHistoryLimit)].slice(
    0,
    mostDeletions,
  );
}

function olderFirst(a: Job, b: Job): number {
  const [first, second] = [a, b].map(({ metadata }) => `${metadata.creationTimestamp} ${metadata.name}`);
  return first! < second! ? -1 : first! > second! ? 1 : 0;
}

/** With what the changes do to the Jobs; one that is yet to be made has no uid and is told by the next turn. */
function statusOf(
  { status = {} }: CronJob,
  jobs: readonly Job[],
  changes: readonly Change[],
  startedMs: number | undefined,
): CronJobStatus {
  const going = new Set(changes.flatMap(({ type, object }) => (type === 'delete' ? [object] : [])));
  const active = jobs.filter((job) => !endCondition(job) && !going.has(job)).sort(olderFirst);
  const successes = jobs.flatMap(({ status: own }) =>
    findCondition(own?.conditions, 'Complete')?.status === 'True' ? (own?.completionTime ?? []) : [],
  );
  const lastSuccessfulTime = [status.lastSuccessfulTime ?? '', ...successes].sort().at(-1);
  const lastScheduleTime = startedMs === undefined ? status.lastScheduleTime : timestamp(startedMs);
  return {
    ...(active.length > 0 && {
      active: active.map(({ apiVersion, kind, metadata: { namespace = 'default', name, uid = '' } }) => ({
        apiVersion,
        kind,
        namespace,
        name,
        uid,
      })),
    }),
    ...(lastScheduleTime !== undefined && { lastScheduleTime }),
    ...(lastSuccessfulTime && { lastSuccessfulTime }),
  };
}
