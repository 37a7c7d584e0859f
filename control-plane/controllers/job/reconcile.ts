/**
 * Job: runs pods until enough of them have succeeded, too many have failed, or its time is up.
 *
 * - A pod that ended is counted once: the counts and a note on the pod are one transaction. Pods that ended stay for
 *   people to look at, until the Job goes or there are too many of them on a node (pod-garbage).
 * - A pod that is told to stop is replaced at once and is no failure, whoever told it. One that vanishes before it was
 *   counted runs again: work must bear that.
 * - After failures the next try waits, longer each time.
 * - Writes: its pods (creation, deletion, the note), its own `status`; deletes itself when its time to live is over.
 */
import { timestamp } from '../../../lib/clock.ts';
import { findCondition, setCondition } from '../../../lib/model/conditions.ts';
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { isPodActive, isPodReady } from '../../../lib/model/pods.ts';
import type { Condition, Job, JobStatus, Pod } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { batchOf } from '../batch.ts';
import { controlledBy, isNamespaceOpen } from '../owned.ts';
import { admitPods, refusalEvents } from '../pod-admission.ts';
import { podEvents, podsCreated } from '../pod-events.ts';
import { deadlineAfterMs, type End, endCondition, endOf, expiresAfterMs } from './end.ts';
import { retryDelayMs } from './failures.ts';
import { planPods } from './plan.ts';
import { isIndexed, newPod } from './pods.ts';
import { completedText, type Tally, tallyOf } from './tally.ts';

export interface JobOptions {
  readonly mostPerTransaction: number;
}

type Events = NonNullable<ReconcileResult['events']>;

export function reconcileJob(snapshot: Snapshot, job: Job, nowMs: number, options: JobOptions): ReconcileResult {
  if (isDeleting(job) || !isNamespaceOpen(snapshot, job.metadata.namespace)) return { changes: [] };
  const pods = controlledBy(snapshot, job, 'Pod');
  const ended = endCondition(job);
  if (ended) return afterEnd(job, ended, pods, nowMs, options);
  const { mostPerTransaction } = options;
  const tally = tallyOf(job, pods, mostPerTransaction);
  const end = endOf(job, tally, nowMs);
  if (end) {
    const changes: Change[] = [...tally.notes, ...statusChange(job, tally, end, nowMs)];
    return { changes, events: [endEvent(job, end)] };
  }
  const plan = planPods(job, tally);
  // What ended and is not counted yet must not be made again.
  const delayMs = plan.create.length > 0 ? retryAfterMs(pods, nowMs) : 0;
  const create = tally.unfinished || delayMs > 0 ? [] : plan.create;
  const made = create.slice(0, mostPerTransaction).map((index) => newPod(job, index));
  const { pods: admitted, refusal } = admitPods(snapshot, made, nowMs);
  const wanted = [
    ...tally.notes,
    ...plan.remove.map((object): Change => ({ type: 'delete', object })),
    ...admitted.map((object): Change => ({ type: 'create', object })),
  ];
  // Counts and notes go together, so the notes are first and always fit.
  const batch = batchOf(wanted, mostPerTransaction);
  const created = batch.filter(({ type }) => type === 'create').length;
  const removed = new Set(batch.filter(({ type }) => type === 'delete').map(({ object }) => object));
  const remaining = { ...tally, active: tally.active.filter((pod) => !removed.has(pod)) };
  const changes = [...batch, ...statusChange(job, remaining, undefined, nowMs, created, removed.size)];
  const delays = [delayMs > 0 ? delayMs : undefined, deadlineAfterMs(job, nowMs)].filter((ms) => ms !== undefined);
  return {
    changes,
    events: [...podEvents(job, batch), ...suspendEvents(job), ...refusalEvents(job, refusal)],
    createdEvents: podsCreated(job),
    ...(delays.length > 0 && { requeueAfterMs: Math.min(...delays) }),
  };
}

/** Nothing of it runs on; then it waits for its time to go. */
function afterEnd(
  job: Job,
  end: Condition,
  pods: readonly Pod[],
  nowMs: number,
  { mostPerTransaction }: JobOptions,
): ReconcileResult {
  const tally = tallyOf(job, pods, mostPerTransaction);
  const wanted = [...tally.notes, ...pods.filter(isPodActive).map((object): Change => ({ type: 'delete', object }))];
  const batch = batchOf(wanted, mostPerTransaction);
  const removed = new Set(batch.filter(({ type }) => type === 'delete').map(({ object }) => object));
  // What ends after the Job has is noted, and not counted: the counts are those of its end.
  const { active: _active, ready: _ready, terminating: _terminating, ...kept } = job.status ?? {};
  const left = tally.active.length - removed.size;
  const terminating = tally.terminating + removed.size;
  const status = { ...kept, ...(left > 0 && { active: left }), ...(terminating > 0 && { terminating }) };
  const expiresMs = expiresAfterMs(job, end, nowMs);
  if (batch.length === 0 && left + terminating === 0 && expiresMs === 0) {
    return { changes: [{ type: 'delete', object: job }] };
  }
  const changes: Change[] = isSame(status, job.status)
    ? [...batch]
    : [...batch, { type: 'update', object: { ...job, status } }];
  const requeue = expiresMs !== undefined && expiresMs > 0 ? { requeueAfterMs: expiresMs } : {};
  return { changes, events: podEvents(job, batch), ...requeue };
}

function retryAfterMs(pods: readonly Pod[], nowMs: number): number {
  const ended = (phase: string): Pod[] => pods.filter((pod) => pod.status?.phase === phase);
  const failed = ended('Failed').filter((pod) => !isDeleting(pod)); // also those that do not count
  return retryDelayMs(failed, ended('Succeeded'), nowMs);
}

function statusChange(
  job: Job,
  tally: Tally,
  end: End | undefined,
  nowMs: number,
  created = 0,
  removed = 0,
): readonly Change[] {
  const status = statusOf(job, tally, end, nowMs, created, removed);
  return isSame(status, job.status) ? [] : [{ type: 'update', object: { ...job, status } }];
}

/** A count of 0 is left out, as in Kubernetes. */
function statusOf(
  job: Job,
  tally: Tally,
  end: End | undefined,
  nowMs: number,
  created: number,
  removed: number,
): JobStatus {
  const { startTime: before } = job.status ?? {};
  const startTime = job.spec.suspend ? undefined : (before ?? timestamp(nowMs));
  const active = tally.active.length + created;
  const terminating = tally.terminating + removed;
  const ready = tally.active.filter(isPodReady).length;
  const indexes = isIndexed(job) ? completedText(tally) : '';
  const conditions = conditionsOf(job, end, nowMs);
  return {
    ...(conditions.length > 0 && { conditions }),
    ...(startTime !== undefined && { startTime }),
    ...(end?.type === 'Complete' && { completionTime: timestamp(nowMs) }),
    ...(active > 0 && { active }),
    ...(tally.succeeded > 0 && { succeeded: tally.succeeded }),
    ...(tally.failed > 0 && { failed: tally.failed }),
    ...(terminating > 0 && { terminating }),
    ...(ready > 0 && { ready }),
    ...(indexes !== '' && { completedIndexes: indexes }),
  };
}

function conditionsOf(job: Job, end: End | undefined, nowMs: number): readonly Condition[] & Condition[] {
  let conditions = job.status?.conditions ?? [];
  const { suspend = false } = job.spec;
  const wasSuspended = isSuspended(job);
  if (suspend !== wasSuspended) {
    const condition = suspend
      ? { type: 'Suspended', status: 'True' as const, reason: 'JobSuspended', message: 'Job suspended' }
      : { type: 'Suspended', status: 'False' as const, reason: 'JobResumed', message: 'Job resumed' };
    conditions = setCondition(conditions, condition, nowMs);
  }
  if (end) conditions = setCondition(conditions, { ...end, status: 'True' }, nowMs);
  return conditions;
}

function isSuspended({ status }: Job): boolean {
  return findCondition(status?.conditions, 'Suspended')?.status === 'True';
}

function suspendEvents(about: Job): Events {
  const { suspend = false } = about.spec;
  if (suspend === isSuspended(about)) return [];
  const [reason, message] = suspend ? ['Suspended', 'Job suspended'] : ['Resumed', 'Job resumed'];
  return [{ type: 'Normal', reason: reason!, message: message!, about }];
}

function endEvent(about: Job, { type, reason, message }: End): Events[number] {
  if (type === 'Complete') return { type: 'Normal', reason: 'Completed', message: 'Job completed', about };
  return { type: 'Warning', reason, message, about };
}
