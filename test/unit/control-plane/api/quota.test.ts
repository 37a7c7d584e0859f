/** Quotas and limits at the API: in one transaction with what they allow, whoever else is writing. */
import { beforeEach, describe, expect, it } from 'vitest';
import { createClusterService } from '../../../../control-plane/api/cluster-service.ts';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import type { Pod, ResourceQuota, Service } from '../../../../proto/gen/types.ts';
import {
  admin,
  configMapManifest,
  createHarness,
  type Harness,
  manifest,
  podManifest,
  serviceManifest,
} from './harness.ts';

const quota = (hard: object, name = 'team'): ResourceQuota =>
  manifest({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard } });
const limits = (...items: object[]) =>
  manifest({ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'limits' }, spec: { limits: items } });
const pod = (name: string, spec: object = {}): Pod => manifest(podManifest(name, {}, spec));
const withResources = (resources: object): object => ({ containers: [{ name: 'main', image: 'i:1', resources }] });

describe('a ResourceQuota at the API', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await createHarness();
  });
  const used = async (name = 'team') => (await harness.get<ResourceQuota>('ResourceQuota', name)).status?.used;

  it('counts what is there, is charged with each creation, and refuses the one too many', async () => {
    await harness.create(pod('before'));
    await harness.create(quota({ pods: '2', configmaps: '1' }));
    await harness.create(pod('second'));
    expect(await used()).toEqual({ pods: '2', configmaps: '0' });
    await expect(harness.create(pod('third'))).rejects.toMatchObject({
      code: 'permissionDenied',
      message:
        'pods "third" is forbidden: exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=2 (see: ctl describe quota team -n default)',
    });
    await harness.apply(manifest(configMapManifest('a')));
    await expect(harness.apply(manifest(configMapManifest('b')))).rejects.toThrow('exceeded quota: team');
    expect(await used()).toEqual({ pods: '2', configmaps: '1' });
  });

  it('leaves nothing behind of what it refused, and is not charged by a dry run', async () => {
    await harness.create(quota({ services: '1' }));
    await harness.create(manifest(serviceManifest('a')), true);
    await harness.create(manifest(serviceManifest('a')));
    await expect(harness.create(manifest(serviceManifest('b')))).rejects.toThrow('exceeded quota');
    const allocations = await harness.store.list('/gantry/allocations/', { keysOnly: true });
    expect(allocations.items).toHaveLength(1);
  });

  it('refuses a pod that does not say what is limited', async () => {
    await harness.create(quota({ 'requests.cpu': '1', 'limits.memory': '1Gi' }));
    await expect(harness.create(pod('silent'))).rejects.toThrow(
      'failed quota: team: must specify limits.memory for: main; requests.cpu for: main',
    );
    await harness.create(pod('polite', withResources({ limits: { cpu: '500m', memory: '1Gi' } })));
    expect(await used()).toEqual({ 'requests.cpu': '500m', 'limits.memory': '1Gi' });
  });

  it('is asked by a service that wants node ports later', async () => {
    await harness.create(quota({ 'services.nodeports': '1' }));
    await harness.create(manifest(serviceManifest('a')));
    const door = (name: string, ports: number): Service =>
      manifest(
        serviceManifest(name, {
          type: 'NodePort',
          ports: Array.from({ length: ports }, (_, index) => ({ name: `p${index}`, port: 80 + index })),
        }),
      );
    await harness.apply(door('a', 1));
    await expect(harness.apply(door('a', 2))).rejects.toThrow(
      'used: services.nodeports=1, limited: services.nodeports=1',
    );
    expect((await harness.get<Service>('Service', 'a')).spec.ports).toHaveLength(1);
  });

  it('that is exceeded already refuses what is new and leaves alone what is there', async () => {
    await harness.create(quota({ pods: '5' }));
    for (const name of ['a', 'b', 'c']) await harness.create(pod(name));
    const lowered = await harness.apply(quota({ pods: '1' }));
    expect(lowered.object.status).toEqual({ hard: { pods: '5' }, used: { pods: '3' } });
    await expect(harness.create(pod('d'))).rejects.toThrow('requested: pods=1, used: pods=3, limited: pods=1');
    expect((await harness.api.List({ kind: 'Pod' }, admin)).items).toHaveLength(3);
  });

  it('is not for its clients to fill in', async () => {
    const given = { ...quota({ pods: '2' }), status: { hard: { pods: '2' }, used: { pods: '0' } } };
    await harness.create(given);
    expect((await harness.get<ResourceQuota>('ResourceQuota', 'team')).status).toBeUndefined();
  });

  it('holds among creations that race over three replicas', async () => {
    const replicas = [harness.api, ...[1, 2].map(() => createClusterService(harness.dependencies))];
    await harness.create(quota({ pods: '20', 'requests.cpu': '10' }));
    const wanted = Array.from({ length: 60 }, (_, index) =>
      pod(`p${index}`, withResources({ requests: { cpu: '100m' } })),
    );
    const outcomes = await Promise.allSettled(
      wanted.map((object, index) => replicas[index % 3]!.Create({ object: toEnvelope(object) }, admin)),
    );
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []));
    expect(refusals).toHaveLength(40);
    for (const refusal of refusals) expect(refusal).toContain('exceeded quota: team');
    expect((await harness.api.List({ kind: 'Pod' }, admin)).items).toHaveLength(20);
    expect(await used()).toEqual({ pods: '20', 'requests.cpu': '2' });
  });

  it('costs a namespace without one no write and no comparison', async () => {
    await harness.create(quota({ pods: '0' }));
    await harness.create(manifest({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'free' } }));
    await harness.create({ ...pod('a'), metadata: { name: 'a', namespace: 'free' } });
    await expect(harness.create(pod('a'))).rejects.toThrow('exceeded quota');
  });
});

describe('a LimitRange at the API', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await createHarness();
  });

  it('gives pods their defaults before the quota looks at them', async () => {
    await harness.create(limits({ type: 'Container', default: { cpu: '1' }, defaultRequest: { cpu: '250m' } }));
    await harness.create(quota({ 'requests.cpu': '500m', 'limits.cpu': '3' }));
    const created = await harness.create(pod('a'));
    expect(created.spec.containers[0]?.resources).toEqual({ limits: { cpu: '1' }, requests: { cpu: '250m' } });
    await harness.create(pod('b'));
    await expect(harness.create(pod('c'))).rejects.toThrow('requested: requests.cpu=250m, used: requests.cpu=500m');
  });

  it('bounds claims', async () => {
    await harness.create(limits({ type: 'PersistentVolumeClaim', max: { storage: '1Gi' } }));
    const claim = (name: string, storage: string) =>
      manifest({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
      });
    await harness.create(claim('small', '1Gi'));
    await expect(harness.create(claim('large', '2Gi'))).rejects.toThrow(
      'persistentvolumeclaims "large" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi',
    );
  });

  it('refuses what is out of bounds, all of it at once', async () => {
    await harness.create(
      limits(
        { type: 'Container', max: { cpu: '500m' }, min: { memory: '64Mi' } },
        { type: 'Pod', max: { memory: '1Gi' } },
      ),
    );
    const spec = withResources({ limits: { cpu: '1', memory: '2Gi' }, requests: { memory: '32Mi' } });
    await expect(harness.create(pod('a', spec))).rejects.toMatchObject({
      code: 'permissionDenied',
      message:
        'pods "a" is forbidden: [minimum memory usage per Container is 64Mi, but request is 32Mi, maximum cpu usage per Container is 500m, but limit is 1, maximum memory usage per Pod is 1Gi, but limit is 2Gi] (see: ctl describe limitrange limits -n default)',
    });
  });
});
