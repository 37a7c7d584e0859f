import { describe, expect, it } from 'vitest';
import { reconcileCronJob } from '../../../../control-plane/controllers/cron-job/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import type { CronJob, CronJobSpec, CronJobStatus, Job } from '../../../../proto/gen/types.ts';

const ms = (text: string): number => Date.parse(`2026-01-01T${text}Z`);
const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image: 'work:1' }] } };

function cronJob(spec: Partial<CronJobSpec> = {}, status: CronJobStatus = {}): CronJob {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: {
      name: 'tidy',
      namespace: 'default',
      uid: 'uid-cj',
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { schedule: '0 * * * *', jobTemplate: { spec: { template } }, ...spec },
    status,
  };
}

function job(name: string, outcome?: 'Complete' | 'Failed', at = '00:00:00'): Job {
  const time = `2026-01-01T${at}Z`;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: time,
      ownerReferences: [controllerReference(cronJob())],
    },
    spec: { template },
    status: {
      ...(outcome === 'Complete' && { completionTime: time }),
      conditions: outcome ? [{ type: outcome, status: 'True', lastTransitionTime: time }] : [],
    },
  };
}

function reconcile(object: CronJob, now: string, jobs: readonly Job[] = []) {
  const state = new MutableClusterState();
  state.replace(
    [object, ...jobs].map((each) => ({ key: keyOf(each), object: each })),
    1n,
  );
  const { changes, requeueAfterMs, events = [] } = reconcileCronJob(state, object, ms(now));
  const pick = (type: string): Job[] =>
    changes.flatMap((change) => (change.type === type && change.object.kind === 'Job' ? [change.object] : []));
  const after = changes.flatMap((change) => (change.object.kind === 'CronJob' ? [change.object] : []))[0];
  return {
    created: pick('create'),
    deleted: pick('delete').map(({ metadata }) => metadata.name),
    status: after?.status ?? object.status!,
    reasons: events.map(({ reason }) => reason),
    requeueAfterMs,
  };
}

const minuteOf = (time: string): string => `tidy-${ms(time) / 60_000}`;

describe('a CronJob', () => {
  it('makes a Job when its time has come, and looks again when the next one comes', () => {
    expect(reconcile(cronJob(), '00:59:59')).toMatchObject({ created: [], requeueAfterMs: 1000 });
    const { created, status, requeueAfterMs } = reconcile(cronJob(), '01:00:00');
    expect(created).toMatchObject([
      {
        metadata: {
          name: minuteOf('01:00:00'),
          annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T01:00:00Z' },
          ownerReferences: [{ uid: 'uid-cj', controller: true }],
        },
      },
    ]);
    expect(status.lastScheduleTime).toBe('2026-01-01T01:00:00Z');
    expect(requeueAfterMs).toBe(3_600_000);
    expect(reconcile(cronJob({}, status), '01:00:00').created).toEqual([]);
  });

  it('of the times it missed makes up for the last, if it is not too late', () => {
    expect(reconcile(cronJob(), '05:10:00').created[0]!.metadata.name).toBe(minuteOf('05:00:00'));
    expect(reconcile(cronJob({ startingDeadlineSeconds: 600 }), '05:10:00').created).toHaveLength(1);
    expect(reconcile(cronJob({ startingDeadlineSeconds: 599 }), '05:10:00').created).toEqual([]);
  });

  it('follows the clock of its time zone', () => {
    const daily = cronJob({ schedule: '30 9 * * *', timeZone: 'Asia/Seoul' });
    expect(reconcile(daily, '00:29:59').created).toEqual([]);
    expect(reconcile(daily, '00:30:00').created).toHaveLength(1);
  });

  it('does nothing while it is suspended', () => {
    expect(reconcile(cronJob({ suspend: true }), '05:00:00')).toMatchObject({ created: [], requeueAfterMs: undefined });
  });

  it.each([
    ['Allow', 1, []],
    ['Forbid', 0, []],
    ['Replace', 1, ['former']],
  ] as const)('with %s while a Job runs makes %i', (concurrencyPolicy, made, deleted) => {
    const result = reconcile(cronJob({ concurrencyPolicy }), '01:00:00', [job('former')]);
    expect(result.created).toHaveLength(made);
    expect(result.deleted).toEqual(deleted);
    expect(result.reasons.includes('JobAlreadyActive')).toBe(concurrencyPolicy === 'Forbid');
  });

  it('makes up for a forbidden run when the former Job has ended', () => {
    const forbid = cronJob({ concurrencyPolicy: 'Forbid' });
    const { status } = reconcile(forbid, '01:00:00', [job('former')]);
    expect(status.lastScheduleTime).toBeUndefined();
    const { created } = reconcile({ ...forbid, status }, '01:20:00', [job('former', 'Complete')]);
    expect(created[0]!.metadata.name).toBe(minuteOf('01:00:00'));
  });

  it('keeps so many of those that ended', () => {
    const jobs = [
      job('a', 'Complete', '00:01:00'),
      job('b', 'Complete', '00:02:00'),
      job('c', 'Failed', '00:03:00'),
      job('d', 'Failed', '00:04:00'),
      job('e', 'Complete', '00:05:00'),
      job('f'),
    ];
    const limited = cronJob({ successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 1 });
    const { deleted, status } = reconcile(limited, '00:10:00', jobs);
    expect(deleted).toEqual(['a', 'b', 'c']);
    expect(status.active?.map(({ name }) => name)).toEqual(['f']);
    expect(status.lastSuccessfulTime).toBe('2026-01-01T00:05:00Z');
  });

  it("leaves out a run whose name is another's, and says so", () => {
    const stranger = job(minuteOf('01:00:00'));
    const other = { ...stranger, metadata: { ...stranger.metadata, ownerReferences: [] } };
    const { created, reasons, status } = reconcile(cronJob(), '01:00:00', [other]);
    expect(created).toEqual([]);
    expect(reasons).toEqual(['UnexpectedJob']);
    expect(status.lastScheduleTime).toBe('2026-01-01T01:00:00Z');
  });
});
