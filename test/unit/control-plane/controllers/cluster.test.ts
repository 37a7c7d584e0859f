/** The controllers together, over the memory store, with a scheduler and agents that do their part. */
import { afterEach, describe, expect, it } from 'vitest';
import { findCondition } from '../../../../lib/model/conditions.ts';
import { isDeleting } from '../../../../lib/model/object.ts';
import { isPodActive, isPodReady } from '../../../../lib/model/pods.ts';
import type { Deployment, Pod, ReplicaSet, Service } from '../../../../proto/gen/types.ts';
import { type Cluster, type ClusterOptions, deployment, namespace, startCluster, withImage } from './cluster.ts';

let cluster: Cluster;
const start = async (options: ClusterOptions = {}): Promise<void> => {
  cluster = await startCluster(options);
};
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

const active = (): Pod[] => cluster.pods().filter(isPodActive);
const ready = (): Pod[] => active().filter(isPodReady);
const imageOf = (pod: Pod): string => pod.spec.containers[0]!.image;
const current = (name = 'web'): Deployment => cluster.state.get('Deployment', 'default', name)!;
const replicaSets = (): readonly ReplicaSet[] => cluster.state.list('ReplicaSet');
const eventReasons = (): string[] => cluster.state.list('Event').map(({ reason }) => reason ?? '');
const isComplete = (name = 'web'): boolean => {
  const { spec, status, metadata } = current(name);
  return (
    status?.observedGeneration === metadata.generation &&
    status?.updatedReplicas === spec.replicas &&
    status?.replicas === spec.replicas &&
    status?.availableReplicas === spec.replicas
  );
};
const service = (name: string, extra: Partial<Service['spec']> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { selector: { app: 'web' }, clusterIP: '10.43.0.20', ports: [{ port: 80, targetPort: 'http' }], ...extra },
});
const addresses = (name: string): string[] =>
  cluster.state
    .list('EndpointSlice')
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
    .flatMap(({ endpoints = [] }) => endpoints)
    .filter(({ conditions }) => conditions?.ready)
    .flatMap(({ addresses: ips = [] }) => ips)
    .sort();

describe('a deployment', () => {
  it('becomes a ReplicaSet, pods, and endpoints', async () => {
    await start();
    await cluster.create(deployment('web'), service('web'));
    await cluster.until(isComplete, 'the rollout');
    expect(ready()).toHaveLength(3);
    const [replicaSet] = replicaSets();
    expect(replicaSet?.metadata.annotations).toMatchObject({ 'deployment.kubernetes.io/revision': '1' });
    for (const pod of ready()) {
      expect(pod.metadata.name).toMatch(new RegExp(`^${replicaSet!.metadata.name}-.{5}$`));
      expect(pod.metadata.labels?.['pod-template-hash']).toBe(replicaSet!.metadata.labels?.['pod-template-hash']);
    }
    await cluster.until(() => addresses('web').length === 3, 'endpoints');
    expect(addresses('web')).toEqual(
      ready()
        .map(({ status }) => status?.podIP)
        .sort(),
    );
    expect(cluster.state.list('EndpointSlice')[0]?.ports).toEqual([{ protocol: 'TCP', port: 8080 }]);
    const conditions = current().status?.conditions;
    expect(findCondition(conditions, 'Available')?.status).toBe('True');
    expect(findCondition(conditions, 'Progressing')?.reason).toBe('NewReplicaSetAvailable');
    expect(eventReasons()).toContain('ScalingReplicaSet');
  });

  it('comes to rest: nothing is written any more once it is complete', async () => {
    await start();
    await cluster.create(deployment('web'), service('web'));
    await cluster.until(isComplete, 'the rollout');
    await cluster.clock.advance(10_000);
    const { revision } = cluster.state;
    await cluster.clock.advance(30_000);
    expect(cluster.state.revision).toBe(revision);
  });

  it('makes many pods in few transactions', async () => {
    await start();
    const before = cluster.state.revision;
    await cluster.create(deployment('web', { replicas: 60 }));
    await cluster.until(() => cluster.pods().length === 60, 'the pods');
    const created = new Set(cluster.pods().map(({ metadata }) => metadata.creationTimestamp));
    expect(created.size).toBe(1);
    const creations = new Set(
      (await cluster.store.list('/gantry/pods/')).items.map(({ createRevision }) => createRevision),
    );
    expect(creations.size).toBe(1);
    expect(cluster.state.revision).toBeGreaterThan(before);
  });

  it('replaces a pod that is deleted, and gives up the extra ones when scaled down', async () => {
    await start();
    await cluster.create(deployment('web'));
    await cluster.until(isComplete, 'the rollout');
    const victim = ready()[0]!;
    await cluster.remove('Pod', victim.metadata.name);
    const isGone = (): boolean => cluster.pods().every(({ metadata }) => metadata.uid !== victim.metadata.uid);
    await cluster.until(() => isGone() && ready().length === 3, 'the replacement');
    await cluster.edit('Deployment', 'web', (object) => ({ ...object, spec: { ...object.spec, replicas: 1 } }));
    await cluster.until(() => cluster.pods().length === 1 && isPodReady(cluster.pods()[0]!), 'scaling down');
  });

  it('rolls out a new template, and back to the old one through the same ReplicaSet', async () => {
    await start();
    await cluster.create(deployment('web'));
    await cluster.until(isComplete, 'the rollout');
    const first = replicaSets()[0]!.metadata.name;
    await cluster.edit('Deployment', 'web', (object) => withImage(object, 'echo:2'));
    await cluster.until(() => isComplete() && ready().every((pod) => imageOf(pod) === 'echo:2'), 'the second rollout');
    expect(replicaSets()).toHaveLength(2);
    await cluster.edit('Deployment', 'web', (object) => withImage(object, 'echo:1'));
    await cluster.until(() => isComplete() && ready().every((pod) => imageOf(pod) === 'echo:1'), 'the way back');
    expect(replicaSets()).toHaveLength(2);
    const revived = replicaSets().find(({ metadata }) => metadata.name === first);
    expect(revived?.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
    expect(current().metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
  });

  it('keeps the old pods while the new ones do not become ready, and says so after the deadline', async () => {
    await start();
    await cluster.create(deployment('web', { replicas: 4, progressDeadlineSeconds: 20 }));
    await cluster.until(isComplete, 'the rollout');
    cluster.brokenImages.add('echo:bad');
    await cluster.edit('Deployment', 'web', (object) => withImage(object, 'echo:bad'));
    await cluster.until(
      () => findCondition(current().status?.conditions, 'Progressing')?.reason === 'ProgressDeadlineExceeded',
      'the deadline',
    );
    expect(ready().filter((pod) => imageOf(pod) === 'echo:1')).toHaveLength(3);
    expect(active()).toHaveLength(5);
    await cluster.edit('Deployment', 'web', (object) => withImage(object, 'echo:3'));
    await cluster.until(() => isComplete() && ready().every((pod) => imageOf(pod) === 'echo:3'), 'the mended rollout');
  });

  it('recreates: the last old pod is gone before the first new one is made', async () => {
    await start();
    await cluster.create(deployment('web', { strategy: { type: 'Recreate' } }));
    await cluster.until(isComplete, 'the rollout');
    let mixed = 0;
    cluster.state.onChange(() => {
      if (new Set(cluster.pods().map(imageOf)).size > 1) mixed += 1;
    });
    await cluster.edit('Deployment', 'web', (object) => withImage(object, 'echo:2'));
    await cluster.until(() => isComplete() && ready().every((pod) => imageOf(pod) === 'echo:2'), 'the second rollout');
    expect(mixed).toBe(0);
  });

  it('does not roll out while paused, but scales', async () => {
    await start();
    await cluster.create(deployment('web'));
    await cluster.until(isComplete, 'the rollout');
    const pause = (paused: boolean) => (object: Deployment) => ({ ...object, spec: { ...object.spec, paused } });
    await cluster.edit('Deployment', 'web', pause(true));
    await cluster.edit('Deployment', 'web', (object) => ({
      ...withImage(object, 'echo:2'),
      spec: { ...withImage(object, 'echo:2').spec, replicas: 5 },
    }));
    await cluster.until(() => ready().length === 5, 'scaling');
    await cluster.clock.advance(5000);
    expect(new Set(ready().map(imageOf))).toEqual(new Set(['echo:1']));
    await cluster.edit('Deployment', 'web', pause(false));
    await cluster.until(() => isComplete() && ready().every((pod) => imageOf(pod) === 'echo:2'), 'the rollout');
  });

  it('keeps only as many old ReplicaSets as its history limit says', async () => {
    await start();
    await cluster.create(deployment('web', { revisionHistoryLimit: 1 }));
    await cluster.until(isComplete, 'the rollout');
    for (const image of ['echo:2', 'echo:3', 'echo:4']) {
      await cluster.edit('Deployment', 'web', (object) => withImage(object, image));
      await cluster.until(() => isComplete() && ready().every((pod) => imageOf(pod) === image), image);
    }
    await cluster.until(() => replicaSets().length === 2, 'the clean-up');
  });

  it('counts a pod as available only after minReadySeconds', async () => {
    await start();
    await cluster.create(deployment('web', { minReadySeconds: 10 }));
    await cluster.until(() => ready().length === 3, 'readiness');
    await cluster.clock.advance(5000);
    expect(current().status?.availableReplicas).toBe(0);
    await cluster.until(isComplete, 'availability', 8000);
  });

  it('goes with everything it made', async () => {
    await start();
    await cluster.create(deployment('web'), service('web'));
    await cluster.until(isComplete, 'the rollout');
    await cluster.remove('Deployment', 'web');
    await cluster.until(() => cluster.pods().length === 0 && replicaSets().length === 0, 'the collection');
    await cluster.until(() => addresses('web').length === 0, 'the endpoints');
    await cluster.remove('Service', 'web');
    await cluster.until(() => cluster.state.list('EndpointSlice').length === 0, 'the slices');
  });

  it('goes alone when its dependents are to be orphaned', async () => {
    await start();
    await cluster.create(deployment('web'));
    await cluster.until(isComplete, 'the rollout');
    await cluster.edit('Deployment', 'web', (object) => ({
      ...object,
      metadata: { ...object.metadata, finalizers: ['orphan'] },
    }));
    await cluster.remove('Deployment', 'web');
    await cluster.until(() => cluster.state.list('Deployment').length === 0, 'the removal');
    await cluster.clock.advance(5000);
    expect(replicaSets()[0]?.metadata.ownerReferences ?? []).toEqual([]);
    expect(ready()).toHaveLength(3);
  });
});

describe('a lost node', () => {
  const lose = async (...names: string[]): Promise<void> => {
    for (const name of names) cluster.stoppedAgents.add(name);
    for (const name of names) await cluster.setNode(name, 'Unknown');
  };
  const podsOn = (name: string): Pod[] => cluster.pods().filter(({ spec }) => spec.nodeName === name);

  it('loses its pods: out of the endpoints and replaced at once, and away when it is back', async () => {
    await start();
    await cluster.create(deployment('web', { replicas: 6 }), service('web'));
    await cluster.until(() => isComplete() && addresses('web').length === 6, 'the rollout');
    const lost = podsOn('node-2');
    expect(lost.length).toBeGreaterThan(0);
    await lose('node-2');
    await cluster.until(() => podsOn('node-2').every((pod) => isDeleting(pod) && !isPodReady(pod)), 'eviction', 100);
    expect(addresses('web')).not.toContain(lost[0]!.status?.podIP);
    await cluster.until(() => ready().length === 6, 'replacements', 1000);
    await cluster.until(() => addresses('web').length === 6, 'endpoints', 1000);
    expect(podsOn('node-2')).toHaveLength(lost.length);
    expect(cluster.state.get('Node', undefined, 'node-2')?.spec.taints).toMatchObject([
      { key: 'node.kubernetes.io/unreachable', effect: 'NoSchedule' },
      { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' },
    ]);
    const uids = new Set(ready().map(({ metadata }) => metadata.uid));
    cluster.stoppedAgents.delete('node-2');
    await cluster.setNode('node-2', 'True');
    await cluster.until(() => podsOn('node-2').length === 0, 'the removal');
    await cluster.clock.advance(5000);
    expect(new Set(ready().map(({ metadata }) => metadata.uid))).toEqual(uids);
    expect(cluster.state.get('Node', undefined, 'node-2')?.spec.taints ?? []).toEqual([]);
    expect(eventReasons()).toContain('TaintManagerEviction');
  });

  it('keeps pods that tolerate its absence for as long as they do', async () => {
    await start();
    const patient = deployment('web');
    patient.spec.template.spec.tolerations = [
      { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 20 },
    ];
    await cluster.create(patient);
    await cluster.until(isComplete, 'the rollout');
    await lose('node-1');
    await cluster.until(() => podsOn('node-1').every((pod) => !isPodReady(pod)), 'readiness lost', 100);
    await cluster.clock.advance(15_000);
    expect(podsOn('node-1').every((pod) => !isDeleting(pod))).toBe(true);
    await cluster.until(() => podsOn('node-1').every(isDeleting), 'eviction', 10_000);
  });

  it('moves nothing when most nodes are lost together, and says so', async () => {
    await start({ nodes: 5 });
    await cluster.create(deployment('web', { replicas: 10 }));
    await cluster.until(isComplete, 'the rollout');
    await lose('node-1', 'node-2', 'node-3');
    await cluster.clock.advance(10_000);
    // The first losses look like any other; with the third it is most of them.
    expect(podsOn('node-3').filter(isDeleting)).toEqual([]);
    expect(podsOn('node-3').filter(isPodReady)).toEqual([]);
    expect(eventReasons()).toContain('EvictionsPaused');
    // One comes back a little before the other: nothing is taken from the other for that.
    await cluster.setNode('node-2', 'True');
    await cluster.clock.advance(3000);
    await cluster.setNode('node-3', 'True');
    for (const name of ['node-2', 'node-3']) cluster.stoppedAgents.delete(name);
    await cluster.clock.advance(1000);
    expect(podsOn('node-3').filter(isDeleting)).toEqual([]);
    await cluster.edit('Node', 'node-2', (node) => ({
      ...node,
      metadata: { ...node.metadata, labels: { back: 'yes' } },
    }));
    await cluster.until(() => ready().length === 10, 'recovery');
  });

  it('keeps its pods while the sessions hear too few nodes, and loses them when they hear enough again', async () => {
    let paused = true;
    await start({ evictionsPaused: () => paused });
    await cluster.create(deployment('web'));
    await cluster.until(isComplete, 'the rollout');
    await lose('node-1');
    await cluster.clock.advance(10_000);
    expect(podsOn('node-1').filter(isDeleting)).toEqual([]);
    paused = false;
    await cluster.until(() => ready().length === 3 && podsOn('node-1').every(isDeleting), 'eviction', 2000);
  });

  it('loses its pods for good when its object is deleted', async () => {
    await start();
    await cluster.create(deployment('web'));
    await cluster.until(isComplete, 'the rollout');
    await lose('node-3');
    await cluster.remove('Node', 'node-3');
    await cluster.until(() => podsOn('node-3').length === 0 && ready().length === 3, 'the removal');
  });
});

describe('a namespace', () => {
  it('is emptied, then goes', async () => {
    await start();
    await cluster.create(namespace('team'));
    const inTeam = deployment('app');
    inTeam.metadata.namespace = 'team';
    const config = {
      apiVersion: 'v1' as const,
      kind: 'ConfigMap' as const,
      metadata: { name: 'c', namespace: 'team' },
    };
    await cluster.create(inTeam, config);
    await cluster.until(() => ready().length === 3, 'the rollout');
    cluster.stoppedAgents.add('node-1');
    await cluster.remove('Namespace', 'team');
    const team = () => cluster.state.get('Namespace', undefined, 'team');
    await cluster.until(() => cluster.pods().length === 1, 'the pods whose agents work');
    expect(team()?.status).toMatchObject({ phase: 'Terminating' });
    expect(findCondition(team()?.status?.conditions, 'NamespaceContentRemaining')?.message).toContain('1 Pod');
    cluster.stoppedAgents.clear();
    await cluster.edit('Node', 'node-1', (node) => ({
      ...node,
      metadata: { ...node.metadata, labels: { back: 'yes' } },
    }));
    await cluster.until(() => team() === undefined, 'the namespace');
    await cluster.clock.advance(1000);
    const left = [...cluster.state.all()].filter(([key]) => key.includes('/team/') && !key.includes('/events/'));
    expect(left).toEqual([]);
  });
});

describe('bad days', () => {
  it('carries on after the store was away and after lost answers, without a pod too many', async () => {
    await start();
    let most = 0;
    cluster.state.onChange(() => {
      most = Math.max(most, active().length);
    });
    cluster.store.loseAnswers(3);
    await cluster.create(deployment('web', { replicas: 5 })).catch(() => {});
    await cluster.clock.advance(500);
    cluster.store.setAvailable(false);
    await cluster.clock.advance(5000);
    cluster.store.setAvailable(true);
    await cluster.until(() => cluster.state.list('Deployment').length === 1 && isComplete(), 'the rollout');
    expect(most).toBe(5);
  });
});
