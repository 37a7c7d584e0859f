/** Quotas and limits as Kubernetes' users know them: what counts for what, and the words of a refusal. */
import { describe, expect, it } from 'vitest';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { limitProblems, withLimitDefaults } from '../../../../lib/model/limit-range.ts';
import { fromManifest, problemLine } from '../../../../lib/model/manifest.ts';
import { Allowance, countedStatus, excessOf, hasMoreRoom } from '../../../../lib/model/quota.ts';
import { amountIn, amountText } from '../../../../lib/model/resource-amounts.ts';
import { validate } from '../../../../lib/model/validation.ts';
import type { Container, KubeObject, LimitRange, Pod, ResourceQuota } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

function read<T extends KubeObject>(value: unknown): T {
  const { object, problems } = fromManifest(value);
  expect(problems.map(problemLine)).toEqual([]);
  return withDefaults(object as T);
}
const problemsOf = (value: unknown): string[] => {
  const { object, problems } = fromManifest(value);
  return object ? validate(withDefaults(object)).map(problemLine) : problems.map(problemLine);
};

const quotaManifest = (hard: object, spec: object = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'team', namespace: 'default' },
  spec: { hard, ...spec },
});
const quota = (hard: object, used?: Record<string, string>, spec: object = {}): ResourceQuota => ({
  ...read<ResourceQuota>(quotaManifest(hard, spec)),
  ...(used && { status: { hard: hard as Record<string, string>, used } }),
});
const resources = (requests: object | undefined, limits?: object): Partial<Container> => ({
  resources: { ...(requests && { requests }), ...(limits && { limits }) } as NonNullable<Container['resources']>,
});
const pod = (name: string, containers: readonly Partial<Container>[] = [{}], spec: object = {}): Pod =>
  read({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: containers.map((one, index) => ({ name: `c${index}`, image: 'i:1', ...one })), ...spec },
  });
const service = (ports: number, type = 'NodePort'): KubeObject =>
  read({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'default' },
    spec: { type, ports: Array.from({ length: ports }, (_, index) => ({ name: `p${index}`, port: 80 + index })) },
  });
const counted = (one: ResourceQuota, ...objects: KubeObject[]) =>
  countedStatus(one, (kind) => objects.filter((object) => object.kind === kind), nowMs).used;
const refusal = (one: ResourceQuota, object: KubeObject, before?: KubeObject) =>
  new Allowance([one], () => [], nowMs).take(object, before)?.message;

describe('amounts', () => {
  it.each([
    ['cpu', '1500m', '1500m'],
    ['requests.cpu', '2', '2'],
    ['limits.cpu', '0.5', '500m'],
    ['memory', '1Gi', '1Gi'],
    ['requests.memory', '1536Mi', '1536Mi'],
    ['memory', '1G', '1G'],
    ['memory', '100', '100'],
    ['memory', '0', '0'],
    ['limits.ephemeral-storage', '10Gi', '10Gi'],
    ['pods', '1k', '1000'],
  ])('writes %s %s as %s', (name, text, written) => {
    expect(amountText(name, amountIn(name, text))).toBe(written);
  });
});

describe('what counts', () => {
  it('is what containers request and are limited to, init containers by their largest', () => {
    const one = quota({ 'requests.cpu': '9', memory: '9Gi', 'limits.cpu': '9', 'limits.memory': '9Gi', pods: '9' });
    const main = resources({ cpu: '100m', memory: '64Mi' }, { cpu: '200m' });
    const big = pod('big', [main, main], {
      initContainers: [{ name: 'init', image: 'i:1', ...resources({ cpu: '1' }, { cpu: '1', memory: '1Gi' }) }],
    });
    expect(counted(one, big, pod('small', [resources(undefined, { cpu: '1' })]))).toEqual({
      'requests.cpu': '2',
      memory: '1Gi',
      'limits.cpu': '2',
      'limits.memory': '1Gi',
      pods: '2',
    });
  });

  it('leaves out pods that have ended, or should have by now; but each of them is there', () => {
    const one = quota({ pods: '9', 'count/pods': '9', cpu: '9' });
    const busy = pod('busy', [resources({ cpu: '1' })]);
    const ended: Pod = { ...busy, metadata: { ...busy.metadata, name: 'ended' }, status: { phase: 'Succeeded' } };
    const going = (name: string, secondsAgo: number): Pod => {
      const deletionTimestamp = new Date(nowMs - secondsAgo * 1000).toISOString();
      return { ...busy, metadata: { ...busy.metadata, name, deletionTimestamp, deletionGracePeriodSeconds: 30 } };
    };
    expect(counted(one, busy, ended, going('stopping', 5), going('lost', 31))).toEqual({
      pods: '2',
      'count/pods': '4',
      cpu: '2',
    });
  });

  it('is every kind of a namespace by its count, and services by their node ports', () => {
    const one = quota({
      services: '9',
      'services.nodeports': '9',
      configmaps: '9',
      'count/deployments.apps': '9',
      'count/jobs.batch': '9',
      'count/secrets': '9',
    });
    const other = (apiVersion: string, kind: string): KubeObject =>
      ({ apiVersion, kind, metadata: { name: 'x', namespace: 'default' } }) as KubeObject;
    const objects = [
      service(2),
      service(3, 'ClusterIP'),
      other('v1', 'ConfigMap'),
      other('apps/v1', 'Deployment'),
      other('v1', 'Secret'),
    ];
    expect(counted(one, ...objects)).toEqual({
      services: '2',
      'services.nodeports': '2',
      configmaps: '1',
      'count/deployments.apps': '1',
      'count/jobs.batch': '0',
      'count/secrets': '1',
    });
  });

  it('is what claims ask for', () => {
    const claim = read({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1536Mi' } } },
    });
    const one = quota({ persistentvolumeclaims: '2', 'requests.storage': '2Gi' });
    expect(counted(one, claim)).toEqual({ persistentvolumeclaims: '1', 'requests.storage': '1536Mi' });
    const full = quota(one.spec.hard!, { persistentvolumeclaims: '1', 'requests.storage': '1536Mi' });
    expect(refusal(full, claim)).toContain(
      'requested: requests.storage=1536Mi, used: requests.storage=1536Mi, limited: requests.storage=2Gi',
    );
  });

  it('is only what the scopes say', () => {
    const inScopes = (...scopes: string[]) => {
      const pods = [
        pod('plain'),
        pod('asking', [resources({ cpu: '1' })]),
        pod('ending', [{}], { activeDeadlineSeconds: 9 }),
      ];
      return counted(quota({ pods: '9' }, undefined, { scopes }), ...pods)?.pods;
    };
    expect(inScopes('BestEffort')).toBe('2');
    expect(inScopes('NotBestEffort')).toBe('1');
    expect(inScopes('Terminating')).toBe('1');
    expect(inScopes('NotTerminating', 'BestEffort')).toBe('1');
  });
});

describe('room', () => {
  it('ends at the limit, in Kubernetes words', () => {
    const one = quota(
      { pods: '3', 'requests.cpu': '1', memory: '1Gi' },
      { pods: '3', 'requests.cpu': '900m', memory: '0' },
    );
    expect(refusal(one, pod('web-1', [resources({ cpu: '200m', memory: '1Mi' })]))).toBe(
      'pods "web-1" is forbidden: exceeded quota: team, requested: pods=1,requests.cpu=200m, used: pods=3,requests.cpu=900m, limited: pods=3,requests.cpu=1',
    );
  });

  it('asks every container to say what is limited', () => {
    const one = quota({ 'limits.cpu': '1', memory: '1Gi' }, { 'limits.cpu': '0', memory: '0' });
    expect(refusal(one, pod('web', [resources({ cpu: '1' }), resources(undefined, { cpu: '1' })]))).toBe(
      'pods "web" is forbidden: failed quota: team: must specify limits.cpu for: c0; memory for: c0,c1',
    );
  });

  it('is taken by one object after another, in all quotas or in none', () => {
    const wide = quota({ pods: '9' }, { pods: '0' });
    const tight = { ...quota({ pods: '2' }, { pods: '0' }), metadata: { name: 'tight', namespace: 'default' } };
    const allowance = new Allowance([wide, tight], () => [], nowMs);
    const taken = ['a', 'b', 'c'].map((name) => allowance.take(pod(name)) === undefined);
    expect(taken).toEqual([true, true, false]);
    expect(allowance.charged().map(({ status }) => status?.used?.pods)).toEqual(['2', '2']);
  });

  it('is no matter to what the quota does not count', () => {
    const one = quota({ configmaps: '0' }, { configmaps: '0' });
    const allowance = new Allowance([one], () => [], nowMs);
    expect(allowance.take(pod('free'))).toBeUndefined();
    expect(allowance.charged()).toEqual([]);
  });

  it('is counted first when nobody has counted since the spec changed', () => {
    const one = quota({ pods: '2', configmaps: '5' }, { pods: '9' });
    const allowance = new Allowance([one], (kind) => (kind === 'Pod' ? [pod('there')] : []), nowMs);
    expect(allowance.take(pod('second'))).toBeUndefined();
    expect(allowance.take(pod('third'))?.message).toContain('requested: pods=1, used: pods=2, limited: pods=2');
    expect(allowance.charged()[0]?.status?.used).toEqual({ pods: '2', configmaps: '0' });
  });

  it('is needed by a change only for what it adds', () => {
    const one = quota({ 'services.nodeports': '3' }, { 'services.nodeports': '3' });
    expect(refusal(one, service(3), service(3))).toBeUndefined();
    expect(refusal(one, service(4), service(3))).toContain(
      'requested: services.nodeports=1, used: services.nodeports=3',
    );
  });

  it('is negative in a quota that was lowered, which says so and refuses', () => {
    const one = quota({ pods: '3' }, { pods: '5' });
    expect(excessOf(one)).toEqual(['pods=5 of 3']);
    expect(refusal(one, pod('more'))).toContain('used: pods=5, limited: pods=3');
    expect(hasMoreRoom(quota({ pods: '3' }, { pods: '4' }), one)).toBe(true);
    expect(hasMoreRoom(quota({ pods: '4' }, { pods: '5' }), one)).toBe(true);
    expect(hasMoreRoom(quota({ pods: '3' }, { pods: '6' }), one)).toBe(false);
  });
});

describe('a ResourceQuota', () => {
  it.each([
    [{ 'count/deployment': '1' }, {}, /spec\.hard\["count\/deployment"\]: .*did you mean count\/deployments\.apps\?/],
    [{ 'request.cpu': '1' }, {}, /did you mean requests\.cpu\?/],
    [{ 'count/events': '1' }, {}, /written and removed by the system/],
    [{ 'requests.nvidia.com/gpu': '1' }, {}, /does not count this; use one of/],
    [{ pods: '-1' }, {}, /-1 is negative/],
    [{ pods: '1.5' }, {}, /1\.5 is not a whole number/],
    [{ configmaps: '1' }, { scopes: ['BestEffort'] }, /only pods have scopes/],
    [{ cpu: '1' }, { scopes: ['BestEffort'] }, /request nothing; count pods instead/],
    [{ pods: '1' }, { scopes: ['BestEffort', 'NotBestEffort'] }, /no pod is BestEffort and NotBestEffort/],
    [{ pods: '1' }, { scopes: ['PriorityClass'] }, /not supported: spec\.scopes\[0\]: PriorityClass/],
    [{ pods: '1' }, { scopeSelector: {} }, /not supported: spec\.scopeSelector/],
  ])('with %j %j is refused', (hard, spec, says) => {
    expect(problemsOf(quotaManifest(hard, spec)).join('\n')).toMatch(says);
  });
});

const ranges = (...limits: object[]): readonly LimitRange[] => [read<LimitRange>(rangeManifest(...limits))];
const rangeManifest = (...limits: object[]): unknown => ({
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'limits', namespace: 'default' },
  spec: { limits },
});
const ofContainer = (parts: object): object => ({ type: 'Container', ...parts });

describe('a LimitRange', () => {
  it('gives containers what they leave out, and follows its own bounds where it says no more', () => {
    const given = (item: object, container: Partial<Container>) =>
      withLimitDefaults(pod('p', [container]), ranges(ofContainer(item))).spec.containers[0]?.resources;
    const both = { default: { cpu: '1' }, defaultRequest: { cpu: '100m' } };
    expect(given(both, {})).toEqual({ limits: { cpu: '1' }, requests: { cpu: '100m' } });
    expect(given(both, resources(undefined, { cpu: '500m' }))).toEqual({
      limits: { cpu: '500m' },
      requests: { cpu: '500m' },
    });
    expect(given(both, resources({ cpu: '300m' }))).toEqual({ limits: { cpu: '1' }, requests: { cpu: '300m' } });
    expect(given({ max: { memory: '1Gi' } }, {})).toEqual({ limits: { memory: '1Gi' }, requests: { memory: '1Gi' } });
    expect(given({ min: { memory: '1Mi' } }, {})).toEqual({ requests: { memory: '1Mi' } });
  });

  it('leaves a pod alone that says everything', () => {
    const complete = pod('p', [resources({ cpu: '1' }, { cpu: '1' })]);
    expect(withLimitDefaults(complete, ranges(ofContainer({ default: { cpu: '2' } })))).toBe(complete);
  });

  it.each([
    [
      ofContainer({ max: { cpu: '500m' } }),
      resources(undefined, { cpu: '1' }),
      'maximum cpu usage per Container is 500m, but limit is 1',
    ],
    [
      ofContainer({ min: { memory: '64Mi' } }),
      resources({ memory: '32Mi' }),
      'minimum memory usage per Container is 64Mi, but request is 32Mi',
    ],
    [
      ofContainer({ maxLimitRequestRatio: { cpu: '4' } }),
      resources({ cpu: '200m' }, { cpu: '1' }),
      'cpu max limit to request ratio per Container is 4, but provided ratio is 5.000000',
    ],
    [
      { type: 'Pod', max: { cpu: '1' } },
      resources({ cpu: '1' }),
      'maximum cpu usage per Pod is 1.  No limit is specified',
    ],
    [{ type: 'Pod', min: { cpu: '1' } }, {}, 'minimum cpu usage per Pod is 1.  No request is specified'],
  ])('%j says of a pod: %#', (item, container, says) => {
    expect(limitProblems(pod('p', [container]), ranges(item))).toEqual([says]);
  });

  it('bounds what claims ask for', () => {
    const says = (storage: string): readonly string[] => {
      const claim = read({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'data', namespace: 'default' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
      });
      return limitProblems(
        claim,
        ranges({ type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '5Gi' } }),
      );
    };
    expect(says('2Gi')).toEqual([]);
    expect(says('500Mi')).toEqual(['minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi']);
    expect(says('10Gi')).toEqual(['maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi']);
  });

  it('says so when its default limit is less than what a container requests', () => {
    const range = ranges(ofContainer({ default: { cpu: '1' } }));
    expect(limitProblems(withLimitDefaults(pod('p', [resources({ cpu: '2' })]), range), range)).toEqual([
      'spec.containers[0].resources.requests["cpu"]: 2 is more than the limit 1; set a limit',
    ]);
  });

  it.each([
    [ofContainer({ min: { cpu: '2' }, max: { cpu: '1' } }), /min\["cpu"\]: 2 is more than max \(1\)/],
    [ofContainer({ default: { cpu: '2' }, max: { cpu: '1' } }), /default\["cpu"\]: 2 is more than max \(1\)/],
    [ofContainer({ max: { pods: '1' } }), /limits for cpu, memory, ephemeral-storage only/],
    [{ type: 'Pod', default: { cpu: '1' } }, /only containers have defaults/],
    [ofContainer({ maxLimitRequestRatio: { cpu: '0.5' } }), /0\.5 is less than 1/],
    [
      { type: 'PersistentVolumeClaim', max: { cpu: '1' }, default: { storage: '1Gi' } },
      /max\["cpu"\]: there are limits for storage only(.|\n)*default: only containers have defaults/,
    ],
    [{ max: { cpu: '1' } }, /spec\.limits\[0\]\.type: required; one of Container, Pod, PersistentVolumeClaim/],
  ])('as %j is refused', (item, says) => {
    expect(problemsOf(rangeManifest(item)).join('\n')).toMatch(says);
  });
});
