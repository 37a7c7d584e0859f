/** Workloads beside Deployments, with the real controllers, commits and store, under a virtual clock. */
import { afterEach, describe, expect, it } from 'vitest';
import { finishedKeptPerNode } from '../../../../control-plane/controllers/pod-garbage/reconcile.ts';
import { isPodReady } from '../../../../lib/model/pods.ts';
import type { CronJob, DaemonSet, Job, JobSpec, Pod, StatefulSet } from '../../../../proto/gen/types.ts';
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts';

let cluster: Cluster;

async function start(options?: ClusterOptions): Promise<void> {
  cluster = await startCluster(options);
}

afterEach(async () => {
  expect(cluster.problems).toEqual([]);
  await cluster.stop();
});

/** Writes end when there is nothing left to do. */
async function expectRest(): Promise<void> {
  const before = cluster.state.revision;
  await cluster.clock.advance(30_000);
  const objects = [...cluster.state.all()].filter(([, { kind }]) => kind !== 'Event');
  const newest = objects.map(([, { metadata }]) => BigInt(metadata.resourceVersion ?? '0'));
  expect(newest.every((revision) => revision <= before)).toBe(true);
}

const podsOn = (name: string): readonly Pod[] => cluster.pods().filter(({ spec }) => spec.nodeName === name);

function daemonSet(image: string): DaemonSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'logs', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'logs' } },
      template: { metadata: { labels: { app: 'logs' } }, spec: { containers: [{ name: 'main', image }] } },
    },
  };
}

describe('a DaemonSet', () => {
  const status = () => cluster.state.get('DaemonSet', 'default', 'logs')?.status;
  const isUp = (count: number) => (): boolean =>
    status()?.desiredNumberScheduled === count &&
    status()?.numberAvailable === count &&
    status()?.updatedNumberScheduled === count &&
    cluster.pods().length === count;

  it('has a pod on every node, also on those that join, and none more', async () => {
    await start({ nodes: 3 });
    await cluster.create(daemonSet('echo:1'));
    await cluster.until(isUp(3), 'three pods');
    const [node] = cluster.state.list('Node');
    const { uid: _uid, resourceVersion: _version, ...metadata } = node!.metadata;
    await cluster.create({ ...node!, metadata: { ...metadata, name: 'node-4' } });
    await cluster.until(isUp(4), 'a pod on the new node');
    for (const name of ['node-1', 'node-2', 'node-3', 'node-4']) expect(podsOn(name)).toHaveLength(1);
    await expectRest();
    await cluster.remove('DaemonSet', 'logs');
    await cluster.until(() => cluster.pods().length === 0, 'nothing left');
    expect(cluster.state.list('ControllerRevision')).toEqual([]);
  });

  it('rolls from node to node, never with two missing', async () => {
    await start({ nodes: 4 });
    await cluster.create(daemonSet('echo:1'));
    await cluster.until(isUp(4), 'four pods');
    let fewest = 4;
    cluster.state.onChange(() => {
      const serving = cluster.pods().filter((pod) => isPodReady(pod) && !pod.metadata.deletionTimestamp);
      fewest = Math.min(fewest, serving.length);
    });
    await cluster.edit('DaemonSet', 'logs', (object) => ({ ...object, spec: daemonSet('echo:2').spec }));
    const isUpdated = (): boolean => cluster.pods().every(({ spec }) => spec.containers[0]!.image === 'echo:2');
    await cluster.until(() => isUpdated() && isUp(4)(), 'the new template everywhere');
    expect(fewest).toBe(3);
    await expectRest();
  });

  it('stays on a lost node, and leaves one that is tainted', async () => {
    await start({ nodes: 2 });
    await cluster.create(daemonSet('echo:1'));
    await cluster.until(isUp(2), 'two pods');
    const uid = podsOn('node-1')[0]!.metadata.uid;
    await cluster.setNode('node-1', 'Unknown');
    await cluster.until(() => status()?.numberReady === 1, 'one to count');
    await cluster.setNode('node-1', 'True');
    await cluster.until(isUp(2), 'both');
    expect(podsOn('node-1')[0]!.metadata.uid).toBe(uid);
    const taints = [{ key: 'gpu', effect: 'NoExecute' as const }];
    await cluster.edit('Node', 'node-1', (node) => ({ ...node, spec: { ...node.spec, taints } }));
    await cluster.until(isUp(1), 'one left');
    expect(podsOn('node-1')).toEqual([]);
  });
});

function job(name: string, spec: Partial<JobSpec> = {}, image = 'done:1'): Job {
  const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image }] } };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: 'default' },
    spec: { parallelism: 1, completions: 1, template, ...spec },
  };
}

describe('a Job', () => {
  const status = (name = 'sum') => cluster.state.get('Job', 'default', name)?.status;
  const has = (type: string, name?: string) => (): boolean =>
    status(name)?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;

  async function startWorking(): Promise<void> {
    await start({ nodes: 2 });
    cluster.exitCodes.set('done:1', () => 0);
    cluster.exitCodes.set('fail:1', () => 1);
  }

  it('runs to its end, never too many at once, and its pods stay until it goes', async () => {
    await startWorking();
    let most = 0;
    cluster.state.onChange(() => {
      const active = cluster.pods().filter(({ status: pod }) => pod?.phase === 'Pending' || pod?.phase === 'Running');
      most = Math.max(most, active.length);
    });
    await cluster.create(job('sum', { completions: 10, parallelism: 3 }));
    await cluster.until(has('Complete'), 'the end');
    expect(most).toBe(3);
    expect(status()).toMatchObject({ succeeded: 10 });
    expect(cluster.pods().filter(({ status: pod }) => pod?.phase === 'Succeeded')).toHaveLength(10);
    await expectRest();
    await cluster.remove('Job', 'sum');
    await cluster.until(() => cluster.pods().length === 0, 'nothing left');
  });

  it('gives up after its backoff limit', async () => {
    await startWorking();
    await cluster.create(job('sum', { backoffLimit: 2 }, 'fail:1'));
    await cluster.until(has('Failed'), 'the failure', 120_000);
    expect(cluster.pods()).toHaveLength(3);
    await expectRest();
  });

  it('runs every index once, also when one fails on the way', async () => {
    await startWorking();
    const failedOnce = new Set<string>();
    cluster.exitCodes.set('flaky:1', ({ spec: { hostname = '' } }) => {
      if (hostname !== 'sum-2' || failedOnce.has(hostname)) return 0;
      failedOnce.add(hostname);
      return 1;
    });
    await cluster.create(job('sum', { completionMode: 'Indexed', completions: 5, parallelism: 5 }, 'flaky:1'));
    await cluster.until(has('Complete'), 'the end', 120_000);
    expect(status()).toMatchObject({ succeeded: 5, failed: 1, completedIndexes: '0-4' });
  });

  it('has more pods than a node can remember', async () => {
    await startWorking();
    const completions = 2 * finishedKeptPerNode + 60;
    await cluster.create(job('sum', { completions, parallelism: 50 }));
    await cluster.until(has('Complete'), 'the end', 600_000);
    await cluster.until(() => cluster.pods().length <= 2 * finishedKeptPerNode, 'the oldest to go');
    expect(status()).toMatchObject({ succeeded: completions });
    await expectRest();
  });

  it('stops what still runs when its time is up, and then goes by itself', async () => {
    await startWorking();
    await cluster.create(job('sum', { activeDeadlineSeconds: 5, ttlSecondsAfterFinished: 60 }, 'forever:1'));
    await cluster.until(has('Failed'), 'the deadline');
    await cluster.until(() => cluster.pods().length === 0, 'its pods to go');
    await cluster.until(() => status() === undefined, 'the Job to go', 90_000);
  });
});

describe('a CronJob', () => {
  it('runs every minute, keeps the newest, and takes all with it when it goes', async () => {
    await start({ nodes: 2 });
    cluster.exitCodes.set('done:1', () => 0);
    const metadata = { name: 'tidy', namespace: 'default' };
    const spec = { schedule: '* * * * *', successfulJobsHistoryLimit: 2, jobTemplate: { spec: job('tidy').spec } };
    await cluster.create({ apiVersion: 'batch/v1', kind: 'CronJob', metadata, spec });
    const seen = new Set<string>();
    cluster.state.onChange(() => {
      for (const { metadata: made } of cluster.state.list('Job')) seen.add(made.name);
    });
    await cluster.until(() => seen.size === 5, 'five runs', 400_000);
    const current = (): CronJob | undefined => cluster.state.get('CronJob', 'default', 'tidy');
    await cluster.until(() => (current()?.status?.active ?? []).length === 0, 'the last one to end');
    await cluster.until(() => cluster.state.list('Job').length === 2, 'two that are kept');
    await cluster.edit('CronJob', 'tidy', (object) => ({ ...object, spec: { ...object.spec, suspend: true } }));
    await cluster.clock.advance(120_000);
    expect(seen.size).toBe(5);
    await cluster.remove('CronJob', 'tidy');
    await cluster.until(() => cluster.state.list('Job').length + cluster.pods().length === 0, 'nothing left');
  });
});

describe('a StatefulSet', () => {
  function statefulSet(image: string): StatefulSet {
    return {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db', namespace: 'default' },
      spec: {
        replicas: 3,
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'main', image }] } },
      },
    };
  }
  const status = () => cluster.state.get('StatefulSet', 'default', 'db')?.status;
  const named = (name: string): Pod | undefined => cluster.state.get('Pod', 'default', name);
  const isUp = (): boolean =>
    status()?.availableReplicas === 3 && status()?.currentRevision === status()?.updateRevision;

  it('comes up in order, rolls from the end, and goes back', async () => {
    await start({ nodes: 2 });
    const order: string[] = [];
    cluster.state.onChange((changes) => {
      for (const { object, previous } of changes) {
        if (object?.kind === 'Pod' && !previous) order.push(object.metadata.name);
      }
    });
    await cluster.create(statefulSet('db:1'));
    await cluster.until(isUp, 'three pods');
    expect(order.splice(0)).toEqual(['db-0', 'db-1', 'db-2']);
    const first = status()?.currentRevision;
    cluster.brokenImages.add('db:2');
    await cluster.edit('StatefulSet', 'db', (object) => ({ ...object, spec: statefulSet('db:2').spec }));
    await cluster.until(() => named('db-2')?.spec.containers[0]?.image === 'db:2', 'the broken one');
    await cluster.clock.advance(60_000);
    expect(order.splice(0)).toEqual(['db-2']);
    await cluster.edit('StatefulSet', 'db', (object) => ({ ...object, spec: statefulSet('db:1').spec }));
    await cluster.until(() => isUp() && status()?.updatedReplicas === 3, 'the former template');
    expect(status()?.currentRevision).toBe(first);
    await expectRest();
    await cluster.remove('StatefulSet', 'db');
    await cluster.until(() => cluster.pods().length === 0, 'nothing left');
  });

  it('never runs a name twice: on a lost node it waits for its agent', async () => {
    await start({ nodes: 3 });
    await cluster.create(statefulSet('db:1'));
    await cluster.until(isUp, 'three pods');
    const { uid } = named('db-1')!.metadata;
    const node = named('db-1')!.spec.nodeName!;
    cluster.stoppedAgents.add(node);
    await cluster.setNode(node, 'Unknown');
    await cluster.until(() => status()?.readyReplicas === 2, 'one to miss');
    await cluster.clock.advance(120_000);
    expect(named('db-1')!.metadata).toMatchObject({ uid });
    expect(named('db-1')!.metadata.deletionTimestamp).toBeUndefined();
    cluster.stoppedAgents.delete(node);
    await cluster.setNode(node, 'True');
    await cluster.until(isUp, 'the same three pods');
    expect(named('db-1')!.metadata.uid).toBe(uid);
  });

  it('has its pods elsewhere when the node is declared out of service', async () => {
    await start({ nodes: 3 });
    await cluster.create(statefulSet('db:1'));
    await cluster.until(isUp, 'three pods');
    const node = named('db-1')!.spec.nodeName!;
    cluster.stoppedAgents.add(node);
    await cluster.setNode(node, 'Unknown');
    await cluster.remove('Pod', 'db-1');
    await cluster.clock.advance(60_000);
    expect(named('db-1')?.spec.nodeName).toBe(node);
    const taint = { key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' as const };
    await cluster.edit('Node', node, (object) => ({
      ...object,
      spec: { ...object.spec, taints: [...(object.spec.taints ?? []), taint] },
    }));
    await cluster.until(() => isUp() && named('db-1')?.spec.nodeName !== node, 'it to run elsewhere');
    await expectRest();
  });
});
