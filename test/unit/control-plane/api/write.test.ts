/** Create, Update, Patch, Scale, Apply and Delete against the memory store. */
import { describe, expect, it } from 'vitest';
import { isGantryError } from '../../../../lib/errors.ts';
import { serviceIPPrefix } from '../../../../lib/model/allocations.ts';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import type {
  ConfigMap,
  Deployment,
  KubeObject,
  Namespace,
  Pod,
  Secret,
  Service,
} from '../../../../proto/gen/types.ts';
import {
  admin,
  configMapManifest,
  createHarness,
  deploymentManifest,
  type Harness,
  manifest,
  podManifest,
  serviceManifest,
} from './harness.ts';

const codeIs = (code: Parameters<typeof isGantryError>[1], text?: string | RegExp) => (error: unknown) =>
  isGantryError(error, code) &&
  (text === undefined || [error.message, ...error.details].join('\n').match(text) !== null);

async function rejects(promise: Promise<unknown>, code: Parameters<typeof isGantryError>[1], text?: string | RegExp) {
  await expect(promise).rejects.toSatisfy(codeIs(code, text));
}

const keysUnder = async ({ store }: Harness, prefix: string): Promise<string[]> =>
  (await store.list(prefix)).items.map(({ key }) => key);

describe('create', () => {
  it('writes identity, defaults and the initial status, and counts generations from 1', async () => {
    const harness = await createHarness();
    const pod = await harness.create(manifest<Pod>(podManifest('a')));
    expect(pod).toMatchObject({
      metadata: { name: 'a', namespace: 'default', generation: 1 },
      spec: { restartPolicy: 'Always', hostUsers: false, schedulerName: 'default-scheduler' },
      status: { phase: 'Pending' },
    });
    expect(pod.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(pod.metadata.creationTimestamp).toMatch(/Z$/);
    expect(await harness.get('pods', 'a')).toEqual(pod);
  });

  it('takes neither status nor identity from the client', async () => {
    const harness = await createHarness();
    const given = manifest<Pod>(podManifest('a'));
    const pod = await harness.create({
      ...given,
      metadata: { ...given.metadata, uid: 'mine', generation: 9, deletionTimestamp: '2020-01-01T00:00:00Z' },
      status: { phase: 'Running', podIP: '10.42.0.9' },
    });
    expect(pod.status).toEqual({ phase: 'Pending' });
    expect(pod.metadata.uid).not.toBe('mine');
    expect(pod.metadata.deletionTimestamp).toBeUndefined();
  });

  it('takes an empty nodeName for none, so that the pod is scheduled', async () => {
    const spec = { nodeName: '', containers: [{ name: 'main', image: 'echo:1' }] };
    const created = await (await createHarness()).create<Pod>({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec,
    });
    expect(created.spec).not.toHaveProperty('nodeName');
  });

  it('makes a name from generateName', async () => {
    const harness = await createHarness();
    const given = manifest<Pod>({ ...(podManifest('x') as object), metadata: { generateName: 'job-' } });
    const [one, two] = [await harness.create(given), await harness.create(given)];
    expect(one.metadata.name).toMatch(/^job-[a-z0-9]{5}$/);
    expect(two.metadata.name).not.toBe(one.metadata.name);
  });

  it('refuses a name that is taken, a namespace that is not there, and one that is going', async () => {
    const harness = await createHarness();
    await harness.create(manifest(configMapManifest('c')));
    await rejects(harness.create(manifest(configMapManifest('c'))), 'alreadyExists');
    await rejects(
      harness.create(manifest(configMapManifest('c', {}, { namespace: 'no' }))),
      'notFound',
      'namespaces "no"',
    );
    await harness.create(manifest<Namespace>({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } }));
    await harness.api.Delete({ kind: 'Namespace', name: 'team' }, admin);
    const late = harness.create(manifest(configMapManifest('c', {}, { namespace: 'team' })));
    await rejects(late, 'failedPrecondition', 'being deleted');
  });

  it('reports all problems at once', async () => {
    const harness = await createHarness();
    const bad = manifest<Pod>(
      podManifest('a', {}, { containers: [{ name: 'm', image: 'b', volumeMounts: [{ name: 'x', mountPath: 'y' }] }] }),
    );
    bad.spec.schedulerName = 'magic';
    await expect(harness.create(bad)).rejects.toSatisfy(
      (error) => isGantryError(error, 'invalidArgument') && error.details.length === 3,
    );
  });

  it.each([
    [podManifest('a'), 'spec.schedulerName'],
    [deploymentManifest('a'), 'spec.template.spec.schedulerName'],
  ])('refuses a strategy that there is not', async (given, path) => {
    const harness = await createHarness();
    const object = manifest<Pod | Deployment>(given);
    const spec = object.kind === 'Pod' ? object.spec : object.spec.template.spec;
    spec.schedulerName = 'magic';
    const { details } = (await harness.create(object).catch((error: unknown) => error)) as { details: string[] };
    expect(details).toEqual([
      `${path}: "magic" is not a strategy; use one of default-scheduler, least-loaded, round-robin, random, bin-pack`,
    ]);
  });

  it('answers a dry run and stores nothing', async () => {
    const harness = await createHarness();
    const service = await harness.create(manifest<Service>(serviceManifest('web')), true);
    expect(service.spec.clusterIP).toMatch(/^10\.43\./);
    await rejects(harness.get('services', 'web'), 'notFound');
    expect(await keysUnder(harness, serviceIPPrefix)).toEqual([]);
  });

  it('survives a lost answer of the store without making two or losing one', async () => {
    const harness = await createHarness();
    harness.store.loseAnswers(1);
    const created = await harness.create(manifest<Pod>(podManifest('a')));
    expect((await harness.get('pods', 'a')).metadata.uid).toBe(created.metadata.uid);
    harness.store.loseAnswers(1);
    await harness.api.Delete({ kind: 'Pod', name: 'a' }, admin);
    await rejects(harness.get('pods', 'a'), 'notFound');
  });

  it('seals Secrets in the store', async () => {
    const harness = await createHarness();
    await harness.create(
      manifest<Secret>({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 's' },
        stringData: { password: 'hunter2' },
      }),
    );
    const { kv } = await harness.store.get('/gantry/secrets/default/s');
    expect(Buffer.from(kv!.value).includes('hunter2')).toBe(false);
    const read = await harness.get<Secret>('secrets', 's');
    expect(read.data).toEqual({ password: Buffer.from('hunter2').toString('base64') });
    expect(read.stringData).toBeUndefined();
  });
});

describe('addresses of services', () => {
  it('gives every service its own, never a reserved one, and takes them back', async () => {
    const harness = await createHarness({
      config: { ...(await createHarness()).dependencies.config, serviceCIDR: '10.43.0.0/28' },
    });
    const given = new Set<string>();
    for (let index = 0; index < 12; index += 1) {
      const service = await harness.create(manifest<Service>(serviceManifest(`s${index}`)));
      given.add(service.spec.clusterIP!);
    }
    // 16 addresses without .0, .1, .15 and the DNS address .10.
    expect(given.size).toBe(12);
    for (const reserved of ['10.43.0.0', '10.43.0.1', '10.43.0.10', '10.43.0.15'])
      expect(given).not.toContain(reserved);
    await rejects(harness.create(manifest(serviceManifest('late'))), 'resourceExhausted');
    const { object } = await harness.api.Delete({ kind: 'Service', name: 's3' }, admin);
    const late = await harness.create(manifest<Service>(serviceManifest('late')));
    expect(late.spec.clusterIP).toBe(object!.service!.spec.clusterIP);
  });

  it('refuses an address that is taken, outside the range, or of the DNS', async () => {
    const harness = await createHarness();
    await harness.create(manifest(serviceManifest('a', { clusterIP: '10.43.7.7' })));
    const tryIP = (clusterIP: string) => harness.create(manifest(serviceManifest('b', { clusterIP })));
    await rejects(tryIP('10.43.7.7'), 'invalidArgument', 'already taken');
    await rejects(tryIP('10.44.0.1'), 'invalidArgument', 'not in the service range');
    await rejects(tryIP('10.43.0.10'), 'invalidArgument', 'DNS');
    expect(await keysUnder(harness, serviceIPPrefix)).toEqual([`${serviceIPPrefix}10.43.7.7`]);
  });

  it('gives and takes node ports with the type', async () => {
    const harness = await createHarness();
    const ports = [
      { name: 'a', port: 80, nodePort: 31_000 },
      { name: 'b', port: 81 },
    ];
    const { object } = await harness.apply(manifest<Service>(serviceManifest('web', { type: 'NodePort', ports })));
    expect(object.spec.ports![0]!.nodePort).toBe(31_000);
    expect(object.spec.ports![1]!.nodePort).toBeGreaterThanOrEqual(30_000);
    expect(await keysUnder(harness, '/gantry/allocations/node-ports/')).toHaveLength(2);
    await rejects(
      harness.create(manifest(serviceManifest('x', { type: 'NodePort', ports: [{ port: 1, nodePort: 31_000 }] }))),
      'invalidArgument',
      /spec\.ports\[0\]\.nodePort: 31000 is already taken/,
    );
    const plain = ports.map(({ name, port }) => ({ name, port }));
    const changed = await harness.apply(manifest<Service>(serviceManifest('web', { ports: plain })));
    expect(changed.object.spec.ports!.map((port) => port.nodePort)).toEqual([undefined, undefined]);
    expect(changed.object.spec.clusterIP).toBe(object.spec.clusterIP);
    expect(await keysUnder(harness, '/gantry/allocations/node-ports/')).toEqual([]);
  });

  it('gives headless services and external names none', async () => {
    const harness = await createHarness();
    await harness.create(manifest(serviceManifest('h', { clusterIP: 'None' })));
    const external = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'e' },
      spec: { type: 'ExternalName', externalName: 'example.org' },
    };
    await harness.create(manifest(external));
    expect(await keysUnder(harness, serviceIPPrefix)).toEqual([]);
  });
});

describe('update, patch and scale', () => {
  it("replaces, keeps what is the cluster's, and counts generations only for the spec", async () => {
    const harness = await createHarness();
    const created = await harness.create(manifest<Deployment>(deploymentManifest()));
    await harness.put({ ...created, status: { replicas: 1, observedGeneration: 1 } });
    const labelled = { ...created, metadata: { name: 'web', namespace: 'default', labels: { a: 'b' } } } as Deployment;
    const answer = await harness.api.Update({ object: toEnvelope(labelled) }, admin);
    const updated = answer.object!.deployment!;
    expect(updated.metadata).toMatchObject({ uid: created.metadata.uid, generation: 1, labels: { a: 'b' } });
    expect(updated.status).toEqual({ replicas: 1, observedGeneration: 1 });
    const { object } = await harness.api.Scale({ kind: 'deploy', name: 'web', replicas: 4 }, admin);
    expect(object!.deployment).toMatchObject({ metadata: { generation: 2 }, spec: { replicas: 4 } });
  });

  it('refuses a stale resourceVersion and writes without one', async () => {
    const harness = await createHarness();
    const created = await harness.create(manifest<ConfigMap>(configMapManifest('c')));
    const changed = { ...created, data: { a: '2' } };
    await harness.api.Update({ object: toEnvelope(changed) }, admin);
    await rejects(
      harness.api.Update({ object: toEnvelope({ ...changed, data: { a: '3' } }) }, admin),
      'aborted',
      'get it again',
    );
    const { resourceVersion: _any, ...metadata } = created.metadata;
    await harness.api.Update({ object: toEnvelope({ ...changed, metadata, data: { a: '3' } }) }, admin);
    expect((await harness.get<ConfigMap>('cm', 'c')).data).toEqual({ a: '3' });
  });

  it('patches by RFC 7396, checked by path', async () => {
    const harness = await createHarness();
    await harness.create(manifest(configMapManifest('c', { a: '1', b: '2' })));
    const patch = (value: unknown) =>
      harness.api.Patch(
        { kind: 'ConfigMap', name: 'c', patch: typeof value === 'string' ? value : JSON.stringify(value) },
        admin,
      );
    const { object } = await patch({ data: { a: null, c: '3' }, metadata: { labels: { x: 'y' } } });
    expect(object!.configMap).toMatchObject({ data: { b: '2', c: '3' }, metadata: { labels: { x: 'y' } } });
    expect(object!.configMap!.data).not.toHaveProperty('a');
    await rejects(patch({ dataa: {} }), 'invalidArgument', 'dataa: unknown field; did you mean data');
    await rejects(patch({ metadata: { name: 'other' } }), 'invalidArgument', 'metadata.name: never changes');
    await rejects(patch('{'), 'invalidArgument', 'not JSON');
    await rejects(patch({ metadata: { resourceVersion: '2' } }), 'aborted');
  });

  it('does not write what changes nothing', async () => {
    const harness = await createHarness();
    const created = await harness.create(manifest<Deployment>(deploymentManifest()));
    const { object } = await harness.api.Scale({ kind: 'Deployment', name: 'web', replicas: 1 }, admin);
    expect(object!.deployment!.metadata.resourceVersion).toBe(created.metadata.resourceVersion);
  });

  it('scales only what has replicas, and only from the expected number', async () => {
    const harness = await createHarness();
    await harness.create(manifest(deploymentManifest()));
    await harness.create(manifest(podManifest('p')));
    await rejects(harness.api.Scale({ kind: 'Pod', name: 'p', replicas: 1 }, admin), 'invalidArgument', 'no replicas');
    const from5 = harness.api.Scale({ kind: 'Deployment', name: 'web', replicas: 2, currentReplicas: 5 }, admin);
    await rejects(from5, 'failedPrecondition', 'has 1 replicas, not 5');
    await rejects(harness.api.Scale({ kind: 'Deployment', name: 'web', replicas: -1 }, admin), 'invalidArgument');
    await rejects(harness.api.Scale({ kind: 'Deployment', name: 'no', replicas: 1 }, admin), 'notFound');
  });

  it('keeps what never changes', async () => {
    const harness = await createHarness();
    const pod = await harness.create(manifest<Pod>(podManifest('p')));
    const changed = {
      ...pod,
      spec: { ...pod.spec, containers: [{ ...pod.spec.containers[0]!, image: 'busybox:2', args: ['x'] }] },
    };
    await rejects(
      harness.api.Update({ object: toEnvelope(changed) }, admin),
      'invalidArgument',
      /spec\.containers\[0\]\.args: cannot change/,
    );
    const reselected = manifest<Deployment>(
      deploymentManifest('web', {
        selector: { matchLabels: { app: 'other' } },
        template: { metadata: { labels: { app: 'other' } }, spec: { containers: [{ name: 'w', image: 'i' }] } },
      }),
    );
    await harness.create(manifest(deploymentManifest()));
    await rejects(harness.apply(reselected), 'invalidArgument', 'spec.selector: never changes');
  });

  it('loses no change of many at once', async () => {
    const harness = await createHarness();
    await harness.create(manifest(configMapManifest('c', { start: '1' })));
    const patches = Array.from({ length: 8 }, (_, index) =>
      harness.api.Patch(
        { kind: 'ConfigMap', name: 'c', patch: JSON.stringify({ data: { [`k${index}`]: 'v' } }) },
        admin,
      ),
    );
    await Promise.all(patches);
    expect(Object.keys((await harness.get<ConfigMap>('cm', 'c')).data ?? {})).toHaveLength(9);
  });
});

describe('apply', () => {
  it('creates, configures, and leaves alone', async () => {
    const harness = await createHarness();
    const first = await harness.apply(manifest(deploymentManifest()));
    expect(first.result).toBe('created');
    const again = await harness.apply(manifest(deploymentManifest()));
    expect(again).toMatchObject({ result: 'unchanged' });
    expect(again.object.metadata.resourceVersion).toBe(first.object.metadata.resourceVersion);
    const more = await harness.apply(manifest<Deployment>(deploymentManifest('web', { replicas: 2 })));
    expect(more).toMatchObject({
      result: 'configured',
      object: { spec: { replicas: 2 }, metadata: { generation: 2 } },
    });
  });

  it('removes what the manifest dropped and keeps status and what others wrote', async () => {
    const harness = await createHarness();
    const { object } = await harness.apply(manifest<ConfigMap>(configMapManifest('c', { a: '1', b: '2' })));
    await harness.api.Patch({ kind: 'ConfigMap', name: 'c', patch: '{"data":{"theirs":"x"}}' }, admin);
    const result = await harness.apply(manifest<ConfigMap>(configMapManifest('c', { a: '1' })));
    expect(result.object.data).toEqual({ a: '1', theirs: 'x' });
    expect(result.object.metadata.uid).toBe(object.metadata.uid);
  });

  it('accepts what get printed, and changes nothing by it', async () => {
    const harness = await createHarness();
    await harness.apply(manifest(deploymentManifest()));
    const { toManifest } = await import('../../../../lib/model/manifest.ts');
    const printed = toManifest(await harness.get('deployments', 'web'));
    const { result, object } = await harness.apply(manifest(printed));
    expect(object.metadata.generation).toBe(1);
    expect(['configured', 'unchanged']).toContain(result);
    expect((await harness.apply(manifest(printed))).result).toBe('unchanged');
  });

  it('leaves a running pod as it is, changes its image, and refuses the rest', async () => {
    const harness = await createHarness();
    const { object } = await harness.apply(manifest<Pod>(podManifest('p')));
    await harness.put({ ...object, spec: { ...object.spec, nodeName: 'n' }, status: { phase: 'Running' } });
    expect((await harness.apply(manifest(podManifest('p')))).result).toBe('unchanged');
    const container = { name: 'main', image: 'busybox' };
    const renewed = await harness.apply(manifest<Pod>(podManifest('p', {}, { containers: [container] })));
    expect(renewed.object).toMatchObject({ spec: { nodeName: 'n' }, status: { phase: 'Running' } });
    expect(renewed.object.spec.containers[0]).toMatchObject({ image: 'busybox', imagePullPolicy: 'Always' });
    const moved = harness.apply(manifest(podManifest('p', {}, { nodeSelector: { disk: 'ssd' } })));
    await rejects(moved, 'invalidArgument', 'spec.nodeSelector: cannot change');
  });

  it('is a dry run when asked to be', async () => {
    const harness = await createHarness();
    expect(await harness.apply(manifest(configMapManifest('c')), { dryRun: true })).toMatchObject({
      result: 'created',
    });
    await rejects(harness.get('configmaps', 'c'), 'notFound');
    await harness.apply(manifest(configMapManifest('c')));
    const dry = await harness.apply(manifest(configMapManifest('c', { a: '9' })), { dryRun: true });
    expect(dry.result).toBe('configured');
    expect((await harness.get<ConfigMap>('configmaps', 'c')).data).toEqual({ a: '1' });
  });

  it('makes one of two simultaneous first applies', async () => {
    const harness = await createHarness();
    const results = await Promise.all([1, 2, 3].map(() => harness.apply(manifest(configMapManifest('c')))));
    expect(results.map(({ result }) => result).sort()).toEqual(['created', 'unchanged', 'unchanged']);
  });

  it('is for nodes that have joined only', async () => {
    const harness = await createHarness();
    const node = manifest<KubeObject>({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n' },
      spec: { unschedulable: true },
    });
    await rejects(harness.apply(node), 'failedPrecondition', 'token create');
    await harness.put({ ...node, metadata: { name: 'n', uid: 'u' }, spec: { podCIDR: '10.42.1.0/24' } } as KubeObject);
    const { object } = await harness.apply(node);
    expect(object).toMatchObject({ spec: { podCIDR: '10.42.1.0/24', unschedulable: true } });
    const moved = harness.api.Patch({ kind: 'Node', name: 'n', patch: '{"spec":{"podCIDR":"10.42.2.0/24"}}' }, admin);
    await rejects(moved, 'invalidArgument', 'podCIDR');
  });
});

describe('delete', () => {
  it('marks a bound pod and removes an unbound or forced one with its address', async () => {
    const harness = await createHarness();
    const pod = await harness.create(manifest<Pod>(podManifest('p')));
    const key = '/gantry/allocations/pod-ips/10.42.1.2';
    await harness.put({
      ...pod,
      spec: { ...pod.spec, nodeName: 'n' },
      status: { phase: 'Running', podIP: '10.42.1.2' },
    });
    await harness.store.transact({ compare: [], success: [{ kind: 'put', key, value: Buffer.from('x') }] });
    const { object } = await harness.api.Delete({ kind: 'Pod', name: 'p' }, admin);
    expect(object!.pod!.metadata).toMatchObject({ deletionGracePeriodSeconds: 30 });
    const again = await harness.api.Delete({ kind: 'Pod', name: 'p', gracePeriodSeconds: 60 }, admin);
    expect(again.object!.pod!.metadata).toEqual(object!.pod!.metadata);
    await harness.api.Delete({ kind: 'Pod', name: 'p', gracePeriodSeconds: 0 }, admin);
    await rejects(harness.get('pods', 'p'), 'notFound');
    expect((await harness.store.get(key)).kv).toBeUndefined();
  });

  it('waits for finalizers and goes with the last one', async () => {
    const harness = await createHarness();
    await harness.create(manifest(configMapManifest('c', {}, { finalizers: ['example.org/hold'] })));
    await harness.api.Delete({ kind: 'ConfigMap', name: 'c' }, admin);
    expect((await harness.get('cm', 'c')).metadata.deletionTimestamp).toBeDefined();
    await harness.api.Patch({ kind: 'ConfigMap', name: 'c', patch: '{"metadata":{"finalizers":null}}' }, admin);
    await rejects(harness.get('cm', 'c'), 'notFound');
  });

  it('leaves dependents to the collector, told apart by policy', async () => {
    const harness = await createHarness();
    await harness.create(manifest(deploymentManifest()));
    const { object } = await harness.api.Delete(
      { kind: 'Deployment', name: 'web', propagationPolicy: 'Orphan' },
      admin,
    );
    expect(object!.deployment!.metadata).toMatchObject({ finalizers: ['orphan'] });
    expect(object!.deployment!.metadata.deletionTimestamp).toBeDefined();
    const remove = (propagationPolicy: string) =>
      harness.api.Delete({ kind: 'Deployment', name: 'web', propagationPolicy }, admin);
    await remove('Foreground'); // it may be thought over as long as it is there
    expect((await harness.get('Deployment', 'web')).metadata.finalizers).toEqual(['foregroundDeletion']);
    await rejects(remove('Sideways'), 'invalidArgument', 'Background, Foreground or Orphan');
    await remove('Background');
    await rejects(harness.get('Deployment', 'web'), 'notFound');
  });

  it('marks a namespace, and keeps the default one', async () => {
    const harness = await createHarness();
    await harness.create(manifest<Namespace>({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } }));
    const { object } = await harness.api.Delete({ kind: 'ns', name: 'team' }, admin);
    expect(object!.namespace).toMatchObject({ status: { phase: 'Terminating' }, spec: { finalizers: ['gantry'] } });
    await rejects(harness.api.Delete({ kind: 'ns', name: 'default' }, admin), 'failedPrecondition');
  });

  it('deletes only the one with the given uid', async () => {
    const harness = await createHarness();
    await harness.create(manifest(configMapManifest('c')));
    await rejects(harness.api.Delete({ kind: 'cm', name: 'c', uid: 'other' }, admin), 'aborted');
    await harness.get('cm', 'c');
  });

  it('evicts pods', async () => {
    const harness = await createHarness();
    await harness.create(manifest(podManifest('p')));
    await harness.api.Evict({ name: 'p' }, admin);
    await rejects(harness.get('pods', 'p'), 'notFound');
  });
});

describe('audit', () => {
  it('tells who changed what and how it ended', async () => {
    const harness = await createHarness();
    await harness.apply(manifest(configMapManifest('c')));
    await rejects(harness.create(manifest(configMapManifest('c'))), 'alreadyExists');
    await harness.get('cm', 'c');
    expect(harness.audit).toMatchObject([
      { user: 'somebody', role: 'admin', verb: 'apply', kind: 'ConfigMap', name: 'c', outcome: 'created' },
      { verb: 'create', kind: 'ConfigMap', name: 'c', outcome: 'alreadyExists' },
    ]);
  });
});
