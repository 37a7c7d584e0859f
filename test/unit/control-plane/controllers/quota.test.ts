/** Quotas and limits for pods that controllers make: as many as there is room for, a reason for the rest, and on they go. */
import { afterEach, describe, expect, it } from 'vitest';
import { findCondition } from '../../../../lib/model/conditions.ts';
import type {
  Deployment,
  Job,
  KubeObject,
  LimitRange,
  ResourceQuota,
  StatefulSet,
} from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster } from './cluster.ts';

let cluster: Cluster;
afterEach(() => cluster.stop());

const quota = (hard: Record<string, string>): ResourceQuota => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'team', namespace: 'default' },
  spec: { hard },
});
const range: LimitRange = {
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'limits', namespace: 'default' },
  spec: { limits: [{ type: 'Container', default: { cpu: '1' }, defaultRequest: { cpu: '100m' } }] },
};
const theQuota = (): ResourceQuota => cluster.state.get('ResourceQuota', 'default', 'team')!;
const used = (): Record<string, string> | undefined => theQuota().status?.used;
const failureOf = (name: string) =>
  findCondition((cluster.state.get('Deployment', 'default', name) as Deployment).status?.conditions, 'ReplicaFailure');
const eventsOf = (reason: string): string[] =>
  cluster.state.list('Event').flatMap((event) => (event.reason === reason ? [event.message ?? ''] : []));
const setHard = (hard: Record<string, string>) =>
  cluster.edit('ResourceQuota', 'team', (object) => ({ ...object, spec: { hard } }));
/** Everything that is to happen has happened. */
const settle = () => cluster.clock.advance(30_000);

describe('a ResourceQuota and controllers', () => {
  it('lets a Deployment have as many pods as fit, says why not more, and more when there is room', async () => {
    cluster = await startCluster();
    await cluster.create(quota({ pods: '2' }), deployment('web', { replicas: 5 }));
    await cluster.until(
      () => eventsOf('FailedCreate').length > 0 && cluster.pods().length === 2,
      'two pods and a reason',
    );
    await cluster.until(() => failureOf('web') !== undefined, 'the Deployment says so');
    expect(failureOf('web')).toMatchObject({ status: 'True', reason: 'FailedCreate' });
    expect(failureOf('web')?.message).toMatch(
      /^pods "web-\w+-" is forbidden: exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=2$/,
    );
    expect(eventsOf('FailedCreate')[0]).toMatch(/^Error creating: pods "web-\w+-" is forbidden: exceeded quota: team/);

    await setHard({ pods: '4' });
    await cluster.until(() => cluster.pods().length === 4, 'room for four');
    await setHard({ pods: '9' });
    await cluster.until(() => cluster.pods().length === 5 && failureOf('web') === undefined, 'all five');
    expect(used()).toEqual({ pods: '5' });
  });

  it('never lets several workloads together have more than there is', async () => {
    cluster = await startCluster();
    const most: number[] = [];
    cluster.state.onChange(() => most.push(cluster.pods().length));
    await cluster.create(
      quota({ pods: '7' }),
      ...['a', 'b', 'c', 'd'].map((name) => deployment(name, { replicas: 4 })),
    );
    await cluster.until(() => cluster.pods().length === 7, 'a full quota');
    await settle();
    expect(Math.max(...most)).toBe(7);
    expect(used()).toEqual({ pods: '7' });
    await cluster.remove('Deployment', 'a');
    await cluster.remove('Deployment', 'b');
    await cluster.until(
      () => cluster.pods().length === 7 && cluster.pods().every(isOf('c', 'd')),
      'the others take over',
      120_000,
    );
    expect(Math.max(...most)).toBe(7);
  });

  it('refuses what is new when it is exceeded, deletes nothing, and says so', async () => {
    cluster = await startCluster();
    await cluster.create(quota({ pods: '5' }), deployment('web', { replicas: 4 }));
    await cluster.until(() => cluster.pods().length === 4, 'four pods');
    await setHard({ pods: '2' });
    await settle();
    expect(theQuota().status).toEqual({ hard: { pods: '2' }, used: { pods: '4' } });
    expect(eventsOf('QuotaExceeded')).toEqual([
      'More is used than the quota allows (pods=4 of 2): nothing is deleted, nothing more is admitted',
    ]);
    expect(cluster.pods()).toHaveLength(4);
    await cluster.remove('Pod', cluster.pods()[0]!.metadata.name);
    await settle();
    expect(cluster.pods()).toHaveLength(3);
  });

  it('counts a Job, whose ended pods make room', async () => {
    cluster = await startCluster();
    cluster.exitCodes.set('task:1', () => 0);
    const job: Job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'work', namespace: 'default' },
      spec: {
        completions: 6,
        parallelism: 6,
        template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'task:1' }] } },
      },
    };
    await cluster.create(quota({ pods: '2' }), job);
    await cluster.until(() => cluster.state.get('Job', 'default', 'work')?.status?.succeeded === 6, 'six of six');
    await settle();
    expect(used()).toEqual({ pods: '0' });
    expect(eventsOf('FailedCreate').join()).toContain('exceeded quota: team');
  });

  it('holds up a StatefulSet, which goes on with the next number', async () => {
    cluster = await startCluster();
    const set: StatefulSet = {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db', namespace: 'default' },
      spec: {
        replicas: 3,
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        template: {
          metadata: { labels: { app: 'db' } },
          spec: { containers: [{ name: 'main', image: 'db:1' }] },
        },
      },
    };
    await cluster.create(quota({ pods: '1' }), set);
    await cluster.until(() => eventsOf('FailedCreate').length > 0, 'a reason');
    expect(cluster.pods().map(({ metadata }) => metadata.name)).toEqual(['db-0']);
    await setHard({ pods: '3' });
    await cluster.until(() => cluster.pods().length === 3, 'all three');
  });

  it('refuses other kinds too, and lets them be made later', async () => {
    cluster = await startCluster();
    await cluster.create(quota({ 'count/replicasets.apps': '0' }), deployment('web', { replicas: 1 }));
    await cluster.until(() => eventsOf('FailedCreate').length > 0, 'a reason');
    expect(eventsOf('FailedCreate')[0]).toContain('replicasets.apps');
    expect(cluster.state.list('ReplicaSet')).toEqual([]);
    await setHard({ 'count/replicasets.apps': '1' });
    await cluster.until(() => cluster.pods().length === 1, 'the Deployment goes on');
    expect(used()).toEqual({ 'count/replicasets.apps': '1' });
  });

  it('mends a count that drifted', async () => {
    cluster = await startCluster();
    await cluster.create(quota({ pods: '5' }), deployment('web', { replicas: 2 }));
    await cluster.until(() => used()?.pods === '2', 'two counted');
    await cluster.edit('ResourceQuota', 'team', (object) => ({
      ...object,
      status: { hard: { pods: '5' }, used: { pods: '77' } },
    }));
    await cluster.until(() => used()?.pods === '2', 'two again');
  });

  it('does not count a pod on a lost node when its grace is over', async () => {
    cluster = await startCluster({ nodes: 2 });
    await cluster.create(quota({ pods: '2' }), deployment('web', { replicas: 2 }));
    await cluster.until(() => cluster.pods().every(({ spec }) => spec.nodeName), 'both are bound');
    const [pod] = cluster.pods();
    cluster.stoppedAgents.add(pod!.spec.nodeName!);
    await cluster.remove('Pod', pod!.metadata.name);
    await cluster.until(() => cluster.pods().length === 3, 'a replacement beside the one that nobody can stop', 90_000);
  });
});

describe('a LimitRange and controllers', () => {
  it('gives the pods of a template what they leave out, and not the template', async () => {
    cluster = await startCluster();
    await cluster.create(range, quota({ 'requests.cpu': '250m' }), deployment('web', { replicas: 3 }));
    await cluster.until(() => cluster.pods().length === 2 && failureOf('web') !== undefined, 'two that fit');
    for (const { spec } of cluster.pods()) {
      expect(spec.containers[0]?.resources).toEqual({ limits: { cpu: '1' }, requests: { cpu: '100m' } });
    }
    const { template } = (cluster.state.get('Deployment', 'default', 'web') as Deployment).spec;
    expect(template.spec.containers[0]?.resources).toBeUndefined();
    expect(used()).toEqual({ 'requests.cpu': '200m' });
  });

  it('bounds the claims of a StatefulSet, whose pods wait for them', async () => {
    cluster = await startCluster();
    const strict: LimitRange = {
      ...range,
      spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '1Gi' } }] },
    };
    const claim = { accessModes: ['ReadWriteOnce' as const], resources: { requests: { storage: '2Gi' } } };
    const set: StatefulSet = {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db', namespace: 'default' },
      spec: {
        replicas: 1,
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        template: {
          metadata: { labels: { app: 'db' } },
          spec: { containers: [{ name: 'main', image: 'db:1' }] },
        },
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim }],
      },
    };
    await cluster.create(strict, set);
    await cluster.until(() => eventsOf('FailedCreate').length > 0, 'a reason');
    expect(eventsOf('FailedCreate')[0]).toContain(
      'persistentvolumeclaims "data-db-0" is forbidden: maximum storage usage',
    );
    expect(cluster.pods()).toEqual([]);
    await cluster.remove('LimitRange', 'limits');
    await cluster.until(() => cluster.pods().length === 1, 'the pod');
  });

  it('refuses pods that are out of bounds, until it is changed', async () => {
    cluster = await startCluster();
    const strict: LimitRange = { ...range, spec: { limits: [{ type: 'Pod', max: { memory: '1Gi' } }] } };
    await cluster.create(strict, deployment('web', { replicas: 1 }));
    await cluster.until(() => failureOf('web') !== undefined, 'a reason');
    expect(failureOf('web')?.message).toContain('maximum memory usage per Pod is 1Gi.  No limit is specified');
    await cluster.remove('LimitRange', 'limits');
    await cluster.until(() => cluster.pods().length === 1, 'the pod');
  });
});

function isOf(...names: string[]): (pod: KubeObject) => boolean {
  return ({ metadata }) => names.includes(metadata.labels?.app ?? '');
}
