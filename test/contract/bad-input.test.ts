/**
 * Bad input, one test for each case of the list that Gantry promises a clear answer to: which field, what was wrong, what
 * would be right or what to do next. Three replicas of the API over a real etcd, the real controllers, and ctl itself.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isGantryError } from '../../lib/errors.ts';
import { encodeObject } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import type { ConfigMap, KubeObject, OwnerReference, ResourceQuota } from '../../proto/gen/types.ts';
import { type ReplicatedApi, startReplicatedApi } from './replicated-api.ts';
import { until } from './store-harness.ts';

let api: ReplicatedApi;
beforeAll(async () => {
  api = await startReplicatedApi(3);
});
afterAll(() => api?.end());

const configMap = (
  name: string,
  data: Record<string, string> = { key: 'value' },
  metadata: object = {},
): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
  data,
});
const workload = (kind: string, name: string, app: string, spec: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name },
  spec: {
    selector: { matchLabels: { app } },
    template: { metadata: { labels: { app } }, spec: { containers: [{ name: 'main', image: 'busybox:1' }] } },
    ...spec,
  },
});
const apply = (...objects: object[]) =>
  api.ctl(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));
/** Exit status 1, and all of these said. */
async function refused(objects: readonly object[], ...says: readonly (string | RegExp)[]): Promise<void> {
  const { exitCode, stdout, stderr } = await apply(...objects);
  expect([exitCode, stdout]).toEqual([1, '']);
  for (const words of says) expect(stderr).toMatch(words);
}
const referenceTo = ({ apiVersion, kind, metadata }: KubeObject): OwnerReference => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid ?? '',
});
const [first, second, third] = [0, 1, 2].map((index) => () => api.clients[index]!) as [
  () => ReplicatedApi['clients'][number],
  () => ReplicatedApi['clients'][number],
  () => ReplicatedApi['clients'][number],
];

describe('bad input has a clear answer:', () => {
  it('a cyclic ownerReference', async () => {
    const a = (await first().Create({ object: { configMap: configMap('circle-a') } })).object!.configMap!;
    const owned = configMap('circle-b', {}, { ownerReferences: [referenceTo(a)] });
    const b = (await first().Create({ object: { configMap: owned } })).object!.configMap!;
    await refused(
      [configMap('circle-a', {}, { ownerReferences: [referenceTo(b)] })],
      'metadata.ownerReferences[0]: makes a circle (ConfigMap "circle-a" -> ConfigMap "circle-b" -> ConfigMap "circle-a")',
      'remove it',
    );
    await refused(
      [configMap('circle-a', {}, { ownerReferences: [referenceTo(a)] })],
      'makes a circle (ConfigMap "circle-a" -> ConfigMap "circle-a")',
    );
    // Had it come to be all the same, deleting one of them still ends both.
    await api.store.transact({
      compare: [],
      success: [
        {
          kind: 'put',
          key: keyOf(a),
          value: encodeObject({ ...a, metadata: { ...a.metadata, ownerReferences: [referenceTo(b)] } }),
        },
      ],
    });
    await first().Delete({ kind: 'ConfigMap', name: 'circle-a' });
    await until(() => api.state.get('ConfigMap', 'default', 'circle-b') === undefined);
  });

  it('a dangling ownerReference', async () => {
    const reference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'nobody', uid: 'no-such-uid' };
    await refused(
      [configMap('orphan', {}, { ownerReferences: [reference] })],
      'metadata.ownerReferences[0]: there is no Deployment "nobody" in namespace "default"',
      'create it first, or remove the reference',
    );
    const owner = (await first().Create({ object: { configMap: configMap('owner') } })).object!.configMap!;
    await refused(
      [configMap('orphan', {}, { ownerReferences: [{ ...referenceTo(owner), uid: 'of-an-older-life' }] })],
      `ConfigMap "owner" has uid ${owner.metadata.uid}, not of-an-older-life`,
    );
    await refused(
      [configMap('orphan', {}, { ownerReferences: [{ ...reference, kind: 'Unicorn' }] })],
      'Gantry has no kind "Unicorn"',
    );
  });

  it('selectors that overlap between workloads', async () => {
    const { exitCode, stdout, stderr } = await apply(
      workload('Deployment', 'blue', 'shared', { replicas: 2 }),
      workload('StatefulSet', 'green', 'shared', { replicas: 1, serviceName: 'green' }),
    );
    expect([exitCode, stdout]).toEqual([0, 'deployment.apps/blue created\nstatefulset.apps/green created\n']);
    expect(stderr).toContain('Warning: StatefulSet "green" and Deployment "blue" select one another\'s pods');
    expect(stderr).toContain('give each a label of its own');
    // Nobody adopts or deletes what another has made.
    await until(() => api.state.list('Pod', 'default').length === 3);
    const owners = api.state.list('Pod', 'default').map(({ metadata }) => metadata.ownerReferences?.[0]?.kind);
    expect(owners.sort()).toEqual(['ReplicaSet', 'ReplicaSet', 'StatefulSet']);
    await api.ctl(['delete', 'deployment/blue', 'statefulset/green', '--wait=false']);
    await until(() => api.state.list('Pod', 'default').length === 0);
  });

  it('a negative replica count', async () => {
    await refused(
      [workload('Deployment', 'less', 'less', { replicas: -1 })],
      /spec\.replicas: -1 is not allowed; it must be at least 0/,
    );
    await apply(workload('Deployment', 'some', 'some', { replicas: 0 }));
    const scaled = await api.ctl(['scale', 'deployment/some', '--replicas=-3']);
    expect(scaled.exitCode).toBe(1);
    expect(scaled.stderr).toMatch(/-3/);
    await expect(first().Scale({ kind: 'Deployment', name: 'some', replicas: -3 })).rejects.toThrow(
      'spec.replicas: -3 is not allowed; it must be at least 0',
    );
    expect(api.state.get('Deployment', 'default', 'some')?.spec.replicas).toBe(0);
  });

  it('a cron line that never fires', async () => {
    const cronJob = (schedule: string): object => ({
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'never' },
      spec: {
        schedule,
        jobTemplate: {
          spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'busybox:1' }] } } },
        },
      },
    });
    await refused(
      [cronJob('0 0 30 2 *')],
      'spec.schedule: "0 0 30 2 *" never fires: there is no such day; correct the day of month or the month',
    );
    await refused([cronJob('61 * * * *')], /spec\.schedule: "61 \* \* \* \*" cannot be read .*write five fields/);
  });

  it('a HorizontalPodAutoscaler on a workload without requests', async () => {
    const { exitCode, stderr } = await apply(workload('Deployment', 'plain', 'plain', { replicas: 0 }), {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'plain' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'plain' },
        maxReplicas: 3,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        ],
      },
    });
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      'Warning: it cannot scale by cpu utilization: container main of Deployment plain requests no cpu; set spec.template.spec.containers[0].resources.requests.cpu of Deployment plain',
    );
    await api.ctl(['delete', 'hpa/plain', 'deployment/plain']);
  });

  it('a quota that is already exceeded', async () => {
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'full' } });
    const inFull = (name: string): object => ({ ...configMap(name), metadata: { name, namespace: 'full' } });
    await apply(inFull('a'), inFull('b'), inFull('c'));
    await api.ctl(['create', 'quota', 'small', '--hard=configmaps=2', '-n', 'full']);
    await refused(
      [inFull('d')],
      'Error from server (Forbidden): configmaps "d" is forbidden: exceeded quota: small, requested: configmaps=1, used: configmaps=3, limited: configmaps=2',
      'see: ctl describe quota small -n full',
    );
    await until(
      () => (api.state.get('ResourceQuota', 'full', 'small') as ResourceQuota).status?.used?.configmaps === '3',
    );
    const described = await api.ctl(['describe', 'quota', 'small', '-n', 'full']);
    expect(described.stdout).toMatch(/configmaps +3 +2/);
    expect(described.stdout).toMatch(/Exceeded: +configmaps=3 of 2; nothing is deleted, nothing more is admitted/);
    expect((await api.ctl(['get', 'cm', '-n', 'full', '-o', 'name'])).stdout.split('\n')).toHaveLength(4);
    await api.ctl(['delete', 'cm', 'a', 'b', '-n', 'full']);
    await until(
      () => (api.state.get('ResourceQuota', 'full', 'small') as ResourceQuota).status?.used?.configmaps === '1',
    );
    expect((await apply(inFull('d'))).stdout).toBe('configmap/d created\n');
  });

  it('creations that race for the last places of a quota, over three replicas', async () => {
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'race' } });
    await api.ctl(['create', 'quota', 'ten', '--hard=configmaps=10', '-n', 'race']);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 45 }, (_, index) => {
        const object = configMap(`race-${index}`, {}, { namespace: 'race' });
        return api.clients[index % 3]!.Create({ object: { configMap: object } });
      }),
    );
    const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []));
    for (const reason of reasons) expect(reason).toContain('exceeded quota: ten');
    expect(reasons).toHaveLength(35);
    const { items } = await first().List({ kind: 'ConfigMap', namespace: 'race' });
    expect(items).toHaveLength(10);
  });

  it('two appliers racing on one object', async () => {
    const fields = (manager: string, data: Record<string, string>, client = first()) =>
      client.Apply({ object: { configMap: configMap('shared', data) }, fieldManager: manager });
    await fields('base', { base: '0' });
    // Different fields: both stay, whoever was first.
    for (let round = 1; round <= 5; round += 1) {
      await Promise.all([fields('team-a', { a: `${round}` }, second()), fields('team-b', { b: `${round}` }, third())]);
      const { object } = await first().Get({ kind: 'ConfigMap', name: 'shared' });
      expect(object?.configMap?.data).toEqual({ base: '0', a: `${round}`, b: `${round}` });
    }
    // The same field: one gets it, the other is told whose it is.
    const outcomes = await Promise.allSettled([
      fields('team-a', { a: '5', both: 'a' }, second()),
      fields('team-b', { b: '5', both: 'b' }, third()),
    ]);
    const lost = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(isGantryError(lost?.reason, 'aborted')).toBe(true);
    expect(String(lost?.reason)).toMatch(
      /ConfigMap "shared": 1 conflict with what others applied: data\.both: applied by "team-[ab]"; leave the field out, write the value that it has, or take it over with --force-conflicts/,
    );
    const forced = await api.ctl(
      ['apply', '-f', '-', '--field-manager', 'team-c', '--force-conflicts'],
      JSON.stringify(configMap('shared', { both: 'c' })),
    );
    expect(forced.stdout).toBe('configmap/shared configured\n');
    // Whoever names the state that the change was made for, is told when it is no longer so.
    const { object } = await first().Get({ kind: 'ConfigMap', name: 'shared' });
    await first().Patch({ kind: 'ConfigMap', name: 'shared', patch: '{"data":{"base":"1"}}' });
    await expect(second().Update({ object: object! })).rejects.toThrow(
      /ConfigMap "shared" was changed by somebody else .*get it again and repeat the change/,
    );
  });

  it('an object over the size limit', async () => {
    const most = 1024 * 1024;
    await refused(
      [configMap('huge', { a: 'x'.repeat(most), b: 'y' })],
      `data: ${most + 1} bytes together; at most 1 MiB (${most}) is allowed: split it, or put it in an image`,
    );
    const env = Array.from({ length: 20_000 }, (_, index) => ({ name: `VARIABLE_${index}`, value: 'x'.repeat(60) }));
    const container = { name: 'main', image: 'busybox:1', env };
    const template = { metadata: { labels: { app: 'huge' } }, spec: { containers: [container] } };
    await refused(
      [workload('Deployment', 'huge', 'huge', { template })],
      /Deployment huge: the object has \d+ bytes; at most 1048576 are allowed: make it smaller or split it/,
    );
    // A client that does not check for itself is told the same.
    const wire = configMap('huge', { a: 'x'.repeat(most + 1) });
    await expect(first().Create({ object: { configMap: wire } })).rejects.toThrow(
      `${most + 1} bytes together; at most 1 MiB`,
    );
    const flooding = configMap('flood', { a: 'x'.repeat(70 * most) });
    const error = await first()
      .Create({ object: { configMap: flooding } }, { deadlineMs: 30_000 })
      .catch(String);
    expect(error).toMatch(/larger than max|at most/);
  });

  it('10,000 objects applied in one go', async () => {
    const count = 10_000;
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'many' } });
    const manifests = Array.from({ length: count }, (_, index) =>
      JSON.stringify(configMap(`many-${index}`, { index: `${index}` }, { namespace: 'many' })),
    );
    const { exitCode, stdout, stderr } = await api.ctl(['apply', '-f', '-'], manifests.join('\n---\n'), 240_000);
    expect([exitCode, stderr]).toEqual([0, '']);
    const lines = stdout.trimEnd().split('\n');
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([
      count,
      'configmap/many-0 created',
      `configmap/many-${count - 1} created`,
    ]);
    let listed = 0;
    for (let token = ''; ; ) {
      const page = await second().List({ kind: 'ConfigMap', namespace: 'many', limit: 3000, continue: token });
      listed += page.items?.length ?? 0;
      token = page.continue ?? '';
      if (token === '') break;
    }
    expect(listed).toBe(count);
  }, 300_000);

  it('a watch from a compacted revision', async () => {
    const { object } = await first().Get({ kind: 'Namespace', name: 'default' });
    const old = object?.namespace?.metadata.resourceVersion ?? '';
    await first().Apply({ object: { configMap: configMap('later') } });
    const { resourceVersion: newest = '0' } = await first().List({ kind: 'ConfigMap' });
    await api.store.compact(BigInt(newest));
    await expect(firstOf(second().Watch({ kind: 'ConfigMap', resourceVersion: old }))).rejects.toSatisfy(
      (error) =>
        isGantryError(error, 'outOfRange') &&
        /changes after revision \d+ are no longer kept \(compacted up to \d+\); list again and watch from there/.test(
          error.message,
        ),
    );
    await expect(second().List({ kind: 'ConfigMap', continue: token(old) })).rejects.toThrow(/compacted.*list again/);
  });

  it('a watch of ctl whose revision was compacted while it was away', async () => {
    const watching = api.follow(['get', 'namespaces', '-w']);
    try {
      await until(() => /default/.test(watching.out()));
      // What it follows did not change; what it would resume from is gone all the same.
      for (const value of ['1', '2'])
        await second().Apply({ object: { configMap: configMap('elsewhere', { value }) } });
      const { resourceVersion: newest = '0' } = await second().List({ kind: 'ConfigMap' });
      await api.store.compact(BigInt(newest));
      await api.stopFirst();
      const namespace = { apiVersion: 'v1' as const, kind: 'Namespace' as const, metadata: { name: 'fresh' } };
      await second().Create({ object: { namespace } });
      await until(() => /fresh/.test(watching.out()));
      const names = watching
        .out()
        .trimEnd()
        .split('\n')
        .map((line) => /\b(default|fresh)\b/.exec(line)?.[1]);
      expect(names.filter(Boolean)).toEqual(['default', 'fresh']);
    } finally {
      watching.end();
    }
  });

  it('a watch from a future revision', async () => {
    const future = '9000000000000';
    await expect(firstOf(third().Watch({ kind: 'Pod', resourceVersion: future }))).rejects.toSatisfy(
      (error) =>
        isGantryError(error, 'outOfRange') &&
        /revision 9000000000000 does not exist yet \(the newest is \d+\); list again and watch from there/.test(
          error.message,
        ),
    );
    await expect(firstOf(third().Watch({ kind: 'Pod', resourceVersion: '12x' }))).rejects.toThrow(
      'resourceVersion: "12x" is not a revision; list to get one',
    );
  });
});

async function firstOf<T>(stream: AsyncIterable<T>): Promise<T | undefined> {
  for await (const message of stream) return message;
  return undefined;
}

function token(revision: string): string {
  return Buffer.from(JSON.stringify([revision, '/gantry/configmaps/'])).toString('base64url');
}
