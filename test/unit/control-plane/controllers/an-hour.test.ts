/** An hour of Jobs, CronJobs and DaemonSets, minute by minute, held to what Kubernetes documents about them. */
import { afterEach, expect, it } from 'vitest';
import { endCondition } from '../../../../control-plane/controllers/job/end.ts';
import { isDeleting } from '../../../../lib/model/object.ts';
import { isPodActive, isPodReady } from '../../../../lib/model/pods.ts';
import type { CronJob, DaemonSet, Job, Node, Pod } from '../../../../proto/gen/types.ts';
import { type Cluster, startCluster } from './cluster.ts';

let cluster: Cluster;
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

const metadata = (name: string) => ({ name, namespace: 'default' });
const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image: 'work:1' }] } };
const nowMs = (): number => cluster.clock.nowMs();
const madeMs = (object: Job | Pod): number => Date.parse(object.metadata.creationTimestamp!);
const said = (reason: string): string[] =>
  cluster.state.list('Event').flatMap((event) => (event.reason === reason ? [event.message ?? ''] : []));

/** Agents look at their pods again at every tick. */
async function tick(ms: number): Promise<void> {
  await cluster.clock.advance(ms);
  await cluster.edit('Node', 'node-1', (node) => ({
    ...node,
    metadata: { ...node.metadata, annotations: { tick: `${nowMs()}` } },
  }));
  await cluster.clock.advance(1000);
}

/** Pods run so long, then succeed. */
function runFor(ms: number): void {
  cluster.exitCodes.set('work:1', (pod) => (nowMs() >= madeMs(pod) + ms ? 0 : (undefined as unknown as number)));
}

const cronJob = (name: string, spec: Partial<CronJob['spec']>): CronJob => ({
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: metadata(name),
  spec: { schedule: '*/10 * * * *', jobTemplate: { spec: { template } }, ...spec },
});

it('an hour of CronJobs: each policy for runs that take longer than the time between them', async () => {
  cluster = await startCluster({ nodes: 1 });
  const startedMs = nowMs();
  runFor(13.5 * 60_000);
  await cluster.create(
    cronJob('allow', {}),
    cronJob('forbid', { concurrencyPolicy: 'Forbid' }),
    cronJob('punctual', { concurrencyPolicy: 'Forbid', startingDeadlineSeconds: 60 }),
    cronJob('replace', { concurrencyPolicy: 'Replace', successfulJobsHistoryLimit: 0 }),
    cronJob('elsewhere', { schedule: '45 9 * * *', timeZone: 'Asia/Seoul' }),
    cronJob('suspended', { suspend: true }),
  );
  const started = new Map<string, number>();
  const most = new Map<string, number>();
  for (let minute = 0; minute <= 60; minute += 1) {
    await tick(59_000);
    const running = new Map<string, number>();
    for (const job of cluster.state.list('Job')) {
      const owner = job.metadata.ownerReferences![0]!.name;
      started.set(job.metadata.name, Math.round((madeMs(job) - startedMs) / 60_000));
      if (!endCondition(job) && !isDeleting(job)) running.set(owner, (running.get(owner) ?? 0) + 1);
    }
    for (const [owner, count] of running) most.set(owner, Math.max(most.get(owner) ?? 0, count));
  }
  const minutesOf = (owner: string): number[] =>
    [...started].filter(([name]) => name.startsWith(`${owner}-`)).map(([, minute]) => minute);
  expect(minutesOf('allow')).toEqual([10, 20, 30, 40, 50, 60]);
  expect(minutesOf('replace')).toEqual([10, 20, 30, 40, 50, 60]);
  // The times that passed while one ran are made up for when it ends, unless that is too late.
  expect(minutesOf('forbid')).toEqual([10, 24, 38, 52]);
  expect(minutesOf('punctual')).toEqual([10, 30, 50]);
  expect(minutesOf('elsewhere')).toEqual([45]); // 00:45 in UTC
  expect(minutesOf('suspended')).toEqual([]);
  expect(Object.fromEntries(most)).toEqual({ allow: 2, forbid: 1, punctual: 1, replace: 1, elsewhere: 1 });
  const left = (owner: string): Job[] =>
    cluster.state.list('Job').filter(({ metadata: { name } }) => name.startsWith(`${owner}-`));
  expect(left('allow').filter((job) => endCondition(job))).toHaveLength(3); // successfulJobsHistoryLimit
  expect(said('SawCompletedJob').filter((line) => line.includes('forbid-'))).toHaveLength(3);
  expect(said('MissSchedule').every((line) => line.includes('startingDeadlineSeconds (60 s)'))).toBe(true);
  expect(said('MissSchedule').length).toBeGreaterThan(0);
  expect(said('JobAlreadyActive').length).toBeGreaterThan(0);
});

it('an hour of Jobs: every index to one success, retries that wait longer, deadlines, and an end that is forgotten', async () => {
  cluster = await startCluster({ nodes: 2 });
  const seen = new Map<string, Pod>();
  cluster.state.onChange((changes) => {
    for (const { object } of changes) if (object?.kind === 'Pod') seen.set(object.metadata.uid!, object);
  });
  const job = (name: string, spec: Partial<Job['spec']>, image: string): Job => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadata(name),
    spec: { template: { spec: { ...template.spec, containers: [{ name: 'main', image }] } }, ...spec },
  });
  const indexOf = (pod: Pod): number => Number(pod.metadata.annotations!['batch.kubernetes.io/job-completion-index']);
  const of = (name: string): Pod[] =>
    [...seen.values()].filter(({ metadata: { labels } }) => labels?.['job-name'] === name);
  // Each index fails once; two fail twice.
  cluster.exitCodes.set('fickle:1', (pod) => {
    const tries = of('indexed').filter(
      (other) => indexOf(other) === indexOf(pod) && madeMs(other) <= madeMs(pod),
    ).length;
    return tries > (indexOf(pod) < 2 ? 2 : 1) ? 0 : 1;
  });
  cluster.exitCodes.set('broken:1', () => 7);
  cluster.brokenImages.add('slow:1');
  await cluster.create(
    job(
      'indexed',
      { completions: 6, parallelism: 3, completionMode: 'Indexed', backoffLimit: 20, ttlSecondsAfterFinished: 600 },
      'fickle:1',
    ),
    job('hopeless', { backoffLimit: 3 }, 'broken:1'),
    job('slow', { activeDeadlineSeconds: 300, ttlSecondsAfterFinished: 1200 }, 'slow:1'),
    job(
      'fatal',
      {
        backoffLimit: 10,
        podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [7] } }] },
      },
      'broken:1',
    ),
    job(
      'ignored',
      {
        backoffLimit: 0,
        activeDeadlineSeconds: 900,
        podFailurePolicy: { rules: [{ action: 'Ignore', onExitCodes: { operator: 'In', values: [7] } }] },
      },
      'broken:1',
    ),
  );
  const last = new Map<string, Job>();
  for (let minute = 0; minute < 60; minute += 1) {
    await tick(59_000);
    for (const one of cluster.state.list('Job')) last.set(one.metadata.name, one);
    const active = of('indexed').filter((pod) => isPodActive(pod) && cluster.state.byUID(pod.metadata.uid!));
    expect(active.length).toBeLessThanOrEqual(3);
  }
  const end = (name: string) => endCondition(last.get(name)!);
  expect(end('indexed')).toMatchObject({ type: 'Complete', reason: 'CompletionsReached' });
  expect(last.get('indexed')!.status).toMatchObject({ succeeded: 6, failed: 8, completedIndexes: '0-5' });
  for (let index = 0; index < 6; index += 1) {
    const tries = of('indexed').filter((pod) => indexOf(pod) === index);
    expect(tries.map(({ status }) => status?.phase).sort()).toEqual(
      index < 2 ? ['Failed', 'Failed', 'Succeeded'] : ['Failed', 'Succeeded'],
    );
  }
  expect(end('hopeless')).toMatchObject({ type: 'Failed', reason: 'BackoffLimitExceeded' });
  const tries = of('hopeless')
    .map(madeMs)
    .sort((a, b) => a - b);
  const pauses = tries.slice(1).map((ms, index) => Math.round((ms - tries[index]!) / 1000));
  expect(pauses).toEqual([10, 20, 40]); // and after the fourth failure it is given up
  expect(end('slow')).toMatchObject({ type: 'Failed', reason: 'DeadlineExceeded' });
  expect(end('fatal')).toMatchObject({ type: 'Failed', reason: 'PodFailurePolicy' });
  expect(of('fatal')).toHaveLength(1);
  expect(end('ignored')).toMatchObject({ type: 'Failed', reason: 'DeadlineExceeded' });
  expect(last.get('ignored')!.status?.failed ?? 0).toBe(0);
  expect(of('ignored').length).toBeGreaterThan(5);
  // Only those with a time to live have gone, with their pods.
  expect(
    cluster.state
      .list('Job')
      .map(({ metadata: { name } }) => name)
      .sort(),
  ).toEqual(['fatal', 'hopeless', 'ignored']);
  expect(cluster.pods().every((pod) => !isPodActive(pod))).toBe(true);
});

it('an hour of a DaemonSet: nodes come, go, are cordoned and tainted, and three rollouts pass over them', async () => {
  cluster = await startCluster({ nodes: 6 });
  const daemonSet = (image: string): DaemonSet => ({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: metadata('logs'),
    spec: {
      selector: { matchLabels: { app: 'logs' } },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '2' } },
      minReadySeconds: 5,
      template: { metadata: { labels: { app: 'logs' } }, spec: { containers: [{ name: 'main', image }] } },
    },
  });
  await cluster.create(daemonSet('echo:1'));
  const status = () => cluster.state.get('DaemonSet', 'default', 'logs')!.status!;
  const isDone = (): boolean =>
    status().numberAvailable === status().desiredNumberScheduled &&
    status().updatedNumberScheduled === status().desiredNumberScheduled;
  await cluster.until(isDone, 'the first rollout');
  const violations: string[] = [];
  let fewest = 0;
  cluster.state.onChange(() => {
    const living = cluster.pods().filter((pod) => !isDeleting(pod));
    const byNode = Map.groupBy(living, ({ spec }) => spec.nodeName ?? '');
    byNode.delete('');
    for (const [node, { length }] of byNode) if (length > 1) violations.push(`${length} pods on ${node}`);
    const ready = living.filter(isPodReady).length;
    if (ready < fewest) violations.push(`${ready} of at least ${fewest} ready`);
  });
  const nodeSpec = (name: string, change: (spec: Node['spec']) => Node['spec']): Promise<void> =>
    cluster.edit('Node', name, (node) => ({ ...node, spec: change(node.spec) }));
  const roll = async (image: string): Promise<void> => {
    fewest = cluster.pods().length - 2;
    await cluster.edit('DaemonSet', 'logs', (object) => ({
      ...object,
      metadata: { ...object.metadata, generation: (object.metadata.generation ?? 1) + 1 },
      spec: daemonSet(image).spec,
    }));
    const isNewest = (): boolean => cluster.pods().every(({ spec }) => spec.containers[0]!.image === image);
    await cluster.until(() => isDone() && isNewest(), image, 300_000);
    fewest = 0;
    expect(violations).toEqual([]);
  };
  const nodesWithPod = (): string[] =>
    cluster
      .pods()
      .filter(isPodActive)
      .map(({ spec }) => spec.nodeName!)
      .sort();

  await roll('echo:2');
  await nodeSpec('node-1', (spec) => ({ ...spec, unschedulable: true }));
  await tick(600_000);
  await roll('echo:3');
  expect(nodesWithPod()).toContain('node-1'); // cordoned nodes keep theirs, and get the new one
  await nodeSpec('node-2', (spec) => ({ ...spec, taints: [{ key: 'gpu', value: 'x', effect: 'NoSchedule' }] }));
  await tick(600_000);
  expect(nodesWithPod()).toContain('node-2'); // which may stay, but would not come back
  await cluster.remove('Pod', cluster.pods().find(({ spec }) => spec.nodeName === 'node-2')!.metadata.name);
  await nodeSpec('node-3', (spec) => ({ ...spec, taints: [{ key: 'broken', effect: 'NoExecute' }] }));
  await tick(600_000);
  expect(nodesWithPod()).toEqual(['node-1', 'node-4', 'node-5', 'node-6']);
  await nodeSpec('node-2', ({ taints: _gone, ...spec }) => spec);
  await nodeSpec('node-3', ({ taints: _gone, ...spec }) => spec);
  await cluster.until(() => isDone() && nodesWithPod().length === 6, 'six again', 120_000);
  await cluster.remove('Node', 'node-6');
  await tick(600_000);
  expect(nodesWithPod()).toEqual(['node-1', 'node-2', 'node-3', 'node-4', 'node-5']);
  const failing = cluster.pods()[0]!;
  await cluster.edit('Pod', failing.metadata.name, (pod) => ({
    ...pod,
    status: { ...pod.status, phase: 'Failed', reason: 'Evicted' },
  }));
  await cluster.until(
    () => isDone() && !cluster.pods().some(({ metadata: { uid } }) => uid === failing.metadata.uid),
    'its successor',
  );
  await cluster.clock.advance(1000);
  expect(said('FailedDaemonPod')[0]).toContain(`Found failed daemon pod default/${failing.metadata.name} on node`);
  await roll('echo:4');
  await tick(900_000);
  const before = cluster.state.revision;
  await cluster.clock.advance(600_000);
  const written = [...cluster.state.all()].filter(
    ([
      ,
      {
        kind,
        metadata: { resourceVersion },
      },
    ]) => kind !== 'Event' && BigInt(resourceVersion!) > before,
  );
  expect(written).toEqual([]);
});
