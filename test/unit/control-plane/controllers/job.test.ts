import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIndexes, parseIndexes } from '../../../../control-plane/controllers/job/indexes.ts';
import { indexOf } from '../../../../control-plane/controllers/job/pods.ts';
import { reconcileJob } from '../../../../control-plane/controllers/job/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { timestamp } from '../../../../lib/clock.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import type { Job, JobSpec, JobStatus, Pod } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const secondsAgo = (seconds: number): string => timestamp(nowMs - seconds * 1000);

function job(spec: Partial<JobSpec> = {}, status: JobStatus = {}): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'sum', namespace: 'default', uid: 'uid-job', resourceVersion: '1' },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 6,
      template: {
        metadata: { labels: { app: 'sum' } },
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'work:1' }] },
      },
      ...spec,
    },
    status: { startTime: secondsAgo(60), ...status },
  };
}

interface Facts {
  readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly index?: number;
  readonly counted?: boolean;
  readonly deleting?: boolean;
  readonly ageSeconds?: number;
  readonly exitCode?: number;
  readonly restarts?: number;
}

function pod(name: string, facts: Facts = {}): Pod {
  const { phase = 'Running', index, counted, deleting, ageSeconds = 600, restarts = 0 } = facts;
  const { exitCode = phase === 'Failed' ? 1 : 0 } = facts;
  const terminated = phase === 'Failed' || phase === 'Succeeded' ? { state: { terminated: { exitCode } } } : {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: secondsAgo(ageSeconds),
      annotations: {
        ...(index !== undefined && { 'batch.kubernetes.io/job-completion-index': `${index}` }),
        ...(counted && { 'gantry.dev/counted': 'true' }),
      },
      ...(deleting && { deletionTimestamp: secondsAgo(1) }),
      ownerReferences: [controllerReference(job())],
    },
    spec: { containers: [{ name: 'main', image: 'work:1' }], nodeName: 'node-1' },
    status: { phase, containerStatuses: [{ name: 'main', restartCount: restarts, ...terminated }] },
  };
}

function reconcile(object: Job, pods: readonly Pod[] = [], mostPerTransaction = 100) {
  const state = new MutableClusterState();
  state.replace(
    [object, ...pods].map((each) => ({ key: keyOf(each), object: each })),
    1n,
  );
  const { changes, requeueAfterMs, events = [] } = reconcileJob(state, object, nowMs, { mostPerTransaction });
  const pick = (type: string): Pod[] =>
    changes.flatMap((change) => (change.type === type && change.object.kind === 'Pod' ? [change.object] : []));
  const after = changes.flatMap((change) => (change.object.kind === 'Job' ? [change] : []))[0];
  return {
    created: pick('create'),
    deleted: pick('delete').map(({ metadata }) => metadata.name),
    noted: pick('update').map(({ metadata }) => metadata.name),
    status: (after?.object as Job | undefined)?.status ?? object.status!,
    gone: after?.type === 'delete',
    reasons: events.map(({ reason }) => reason),
    requeueAfterMs,
  };
}

const condition = (status: JobStatus, type: string) => status.conditions?.find((entry) => entry.type === type);

describe('the pods of a Job', () => {
  it.each<[string, Partial<JobSpec>, readonly Pod[], number]>([
    ['begins with one', {}, [], 1],
    ['as many as may run at once', { parallelism: 3, completions: 10 }, [], 3],
    ['no more than are still needed', { parallelism: 3, completions: 2 }, [], 2],
    ['none for those that run', { parallelism: 2, completions: 2 }, [pod('a'), pod('b')], 0],
    [
      'one for each that succeeded',
      { parallelism: 2, completions: 5 },
      [pod('a'), pod('b', { phase: 'Succeeded' })],
      1,
    ],
    ['one for each that was told to stop', {}, [pod('a', { deleting: true })], 1],
    ['one for each that failed', {}, [pod('a', { phase: 'Failed' })], 1],
    ['none while it is held', { suspend: true }, [], 0],
    ['none with parallelism 0', { parallelism: 0 }, [], 0],
  ])('%s', (_name, spec, pods, count) => {
    expect(reconcile(job(spec), pods).created).toHaveLength(count);
  });

  it('carry its name and uid', () => {
    expect(reconcile(job()).created[0]).toMatchObject({
      metadata: {
        generateName: 'sum-',
        labels: { app: 'sum', 'job-name': 'sum', 'batch.kubernetes.io/controller-uid': 'uid-job' },
        ownerReferences: [{ uid: 'uid-job', controller: true }],
      },
      spec: { restartPolicy: 'Never' },
    });
  });

  it('share a queue without completions: after the first success no others begin', () => {
    const { completions: _none, ...spec } = job({ parallelism: 3 }).spec;
    const shared = { ...job(), spec };
    expect(reconcile(shared).created).toHaveLength(3);
    const rest = [pod('a', { phase: 'Succeeded' }), pod('b'), pod('c', { phase: 'Failed' })];
    expect(reconcile(shared, rest).created).toEqual([]);
    expect(condition(reconcile(shared, rest).status, 'Complete')).toBeUndefined();
    const last = rest.filter(({ metadata }) => metadata.name !== 'b');
    expect(condition(reconcile(shared, last).status, 'Complete')?.status).toBe('True');
  });

  it('are given up when parallelism shrinks, and when it is held', () => {
    const pods = [pod('a'), pod('b'), pod('c', { phase: 'Pending' })];
    expect(reconcile(job({ parallelism: 2, completions: 9 }), pods).deleted).toEqual(['c']);
    const held = reconcile(job({ suspend: true }), pods);
    expect(held.deleted.sort()).toEqual(['a', 'b', 'c']);
    expect(held.status.startTime).toBeUndefined();
    expect(condition(held.status, 'Suspended')?.status).toBe('True');
    const resumed = reconcile({ ...job(), status: held.status });
    expect(resumed.status.startTime).toBe(timestamp(nowMs));
    expect(resumed.reasons).toContain('Resumed');
  });
});

describe('counting', () => {
  it('counts each pod once, together with a note on it', () => {
    const spec = { completions: 5, parallelism: 2 };
    const first = reconcile(job(spec), [pod('a', { phase: 'Succeeded' }), pod('b', { phase: 'Failed' })]);
    expect(first.noted).toEqual(['a', 'b']);
    expect(first.status).toMatchObject({ succeeded: 1, failed: 1 });
    const again = [pod('a', { phase: 'Succeeded', counted: true }), pod('b', { phase: 'Failed', counted: true })];
    const second = reconcile(job(spec, first.status), again);
    expect(second.noted).toEqual([]);
    expect(second.status).toMatchObject({ succeeded: 1, failed: 1 });
  });

  it('keeps what it counted when the pods have gone', () => {
    const { status, created } = reconcile(job({ completions: 5 }, { succeeded: 4, failed: 2 }));
    expect(status).toMatchObject({ succeeded: 4, failed: 2, active: 1 });
    expect(created).toHaveLength(1);
  });

  it('makes nothing before all that ended is counted', () => {
    const done = Array.from({ length: 30 }, (_, index) => pod(`p${index}`, { phase: 'Succeeded' }));
    const first = reconcile(job({ completions: 40, parallelism: 40 }), done, 20);
    expect(first.status.succeeded).toBe(20);
    expect(first.created).toEqual([]);
  });

  it('takes no failure from a pod that was told to stop', () => {
    const { status } = reconcile(job(), [pod('a', { phase: 'Failed', deleting: true })]);
    expect(status.failed).toBeUndefined();
  });
});

describe('an Indexed Job', () => {
  const indexed = (spec: Partial<JobSpec> = {}, status: JobStatus = {}): Job =>
    job({ completionMode: 'Indexed', completions: 5, parallelism: 3, ...spec }, status);

  it('gives each pod its index, in its name, host name and environment', () => {
    const { created } = reconcile(indexed());
    expect(created.map(indexOf)).toEqual([0, 1, 2]);
    const [first] = created;
    expect(first).toMatchObject({
      metadata: { generateName: 'sum-0-', labels: { 'batch.kubernetes.io/job-completion-index': '0' } },
      spec: { hostname: 'sum-0' },
    });
    expect(first!.spec.containers[0]!.env).toEqual([
      {
        name: 'JOB_COMPLETION_INDEX',
        valueFrom: {
          fieldRef: {
            apiVersion: 'v1',
            fieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']",
          },
        },
      },
    ]);
  });

  it('runs each index to one success, whatever fails or runs twice', () => {
    const pods = [
      pod('a', { index: 0, phase: 'Succeeded' }),
      pod('b', { index: 1, phase: 'Failed' }),
      pod('c', { index: 2 }),
      pod('d', { index: 2, phase: 'Pending' }),
    ];
    const { created, deleted, status } = reconcile(indexed({}, { completedIndexes: '4', succeeded: 1 }), pods);
    expect(status).toMatchObject({ completedIndexes: '0,4', succeeded: 2, failed: 1 });
    expect(created.map(indexOf)).toEqual([1, 3]);
    expect(deleted).toEqual(['d']);
  });

  it('grows and shrinks with parallelism', () => {
    const state = { completedIndexes: '0-1,5-6', succeeded: 4 };
    expect(reconcile(indexed({ completions: 3, parallelism: 3 }, state)).status).toMatchObject({
      completedIndexes: '0-1',
      succeeded: 2,
    });
    expect(reconcile(indexed({ completions: 7, parallelism: 7 }, state)).created.map(indexOf)).toEqual([2, 3, 4]);
  });

  it('writes its indexes as text and reads them again', () => {
    expect(formatIndexes(parseIndexes('3,0-2,7'))).toBe('0-3,7');
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(60)), (numbers) => {
        expect(parseIndexes(formatIndexes(new Set(numbers)))).toEqual(new Set(numbers));
      }),
    );
  });
});

describe('the end of a Job', () => {
  it('is there when enough have succeeded; then what still runs is stopped', () => {
    const pods = [pod('a', { phase: 'Succeeded' }), pod('b')];
    const { status, reasons } = reconcile(job({ completions: 1, parallelism: 2 }), pods);
    expect(condition(status, 'Complete')).toMatchObject({ status: 'True', reason: 'CompletionsReached' });
    expect(status).toMatchObject({ completionTime: timestamp(nowMs), succeeded: 1 });
    expect(reasons).toEqual(['Completed']);
    const after = reconcile(job({ completions: 1 }, status), [
      pod('a', { phase: 'Succeeded', counted: true }),
      pod('b'),
    ]);
    expect(after.deleted).toEqual(['b']);
    expect(after.status.succeeded).toBe(1);
  });

  it('is a failure when more failed than may', () => {
    const failed = (count: number): Pod[] =>
      Array.from({ length: count }, (_, index) => pod(`p${index}`, { phase: 'Failed', ageSeconds: 9000 }));
    expect(condition(reconcile(job({ backoffLimit: 2 }), failed(2)).status, 'Failed')).toBeUndefined();
    const { status, reasons } = reconcile(job({ backoffLimit: 2 }), failed(3));
    expect(condition(status, 'Failed')).toMatchObject({ status: 'True', reason: 'BackoffLimitExceeded' });
    expect(reasons).toEqual(['BackoffLimitExceeded']);
  });

  it('counts restarts with OnFailure', () => {
    const { template } = job().spec;
    const restarting = job({
      backoffLimit: 2,
      template: { ...template, spec: { ...template.spec, restartPolicy: 'OnFailure' } },
    });
    expect(condition(reconcile(restarting, [pod('a', { restarts: 2 })]).status, 'Failed')).toBeUndefined();
    expect(condition(reconcile(restarting, [pod('a', { restarts: 3 })]).status, 'Failed')?.status).toBe('True');
  });

  it('comes with its deadline', () => {
    const waiting = reconcile(job({ activeDeadlineSeconds: 90 }), [pod('a')]);
    expect(waiting.requeueAfterMs).toBe(30_000);
    const over = reconcile(job({ activeDeadlineSeconds: 60 }), [pod('a')]);
    expect(condition(over.status, 'Failed')).toMatchObject({ reason: 'DeadlineExceeded' });
    expect(reconcile(job({ activeDeadlineSeconds: 60 }, over.status), [pod('a')]).deleted).toEqual(['a']);
  });

  it('is forgotten after its time to live, when nothing runs any more', () => {
    const { status } = reconcile(job({ completions: 0 }));
    const later = {
      ...status,
      conditions: [{ ...condition(status, 'Complete')!, lastTransitionTime: secondsAgo(20) }],
    };
    const expiring = (ttlSecondsAfterFinished: number): Job => job({ completions: 0, ttlSecondsAfterFinished }, later);
    expect(reconcile(expiring(30))).toMatchObject({ gone: false, requeueAfterMs: 10_000 });
    expect(reconcile(expiring(20), [pod('a')])).toMatchObject({ gone: false, deleted: ['a'] });
    expect(reconcile(expiring(20)).gone).toBe(true);
    expect(reconcile(job({ completions: 0 }, later)).requeueAfterMs).toBeUndefined();
  });

  it('waits longer after each failure', () => {
    const series = (count: number): Pod[] =>
      Array.from({ length: count }, (_, index) => pod(`p${index}`, { phase: 'Failed', ageSeconds: 5 }));
    expect(reconcile(job(), series(1))).toMatchObject({ created: [], requeueAfterMs: 5000 });
    expect(reconcile(job(), series(3))).toMatchObject({ created: [], requeueAfterMs: 35_000 });
    const success = pod('s', { phase: 'Succeeded', ageSeconds: 4 });
    expect(reconcile(job({ completions: 3 }), [...series(3), success]).created).toHaveLength(1);
  });
});

describe('podFailurePolicy', () => {
  const policy = (action: 'FailJob' | 'Ignore' | 'Count', operator: 'In' | 'NotIn' = 'In'): Partial<JobSpec> => ({
    backoffLimit: 0,
    podFailurePolicy: { rules: [{ action, onExitCodes: { containerName: 'main', operator, values: [42] } }] },
  });

  it.each([
    ['FailJob', 42, 'PodFailurePolicy'],
    ['FailJob', 1, 'BackoffLimitExceeded'],
    ['Ignore', 42, undefined],
    ['Count', 42, 'BackoffLimitExceeded'],
  ] as const)('%s with exit code %i: %s', (action, exitCode, reason) => {
    const { status } = reconcile(job(policy(action)), [pod('a', { phase: 'Failed', exitCode })]);
    expect(condition(status, 'Failed')?.reason).toBe(reason);
  });

  it('can mean all other codes', () => {
    const { status } = reconcile(job(policy('FailJob', 'NotIn')), [pod('a', { phase: 'Failed', exitCode: 7 })]);
    expect(condition(status, 'Failed')?.message).toContain('pod a ended with exit code 7');
  });
});
