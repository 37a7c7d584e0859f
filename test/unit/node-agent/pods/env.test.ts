import { describe, expect, test } from 'vitest';
import { buildArgv, buildEnv, expand, mergeEnv, podField } from '../../../../node-agent/pods/env.ts';
import type { SourceReader } from '../../../../node-agent/pods/sources.ts';
import type { Container, Service } from '../../../../proto/gen/types.ts';
import { configMap, secret, testContainer, testPod } from './fixture.ts';

const objects = [configMap('conf', { A: '1', 'not a name': 'x' }), secret('keys', { PW: 'hush' })];
const sources = {
  get: (kind: string, _namespace: string | undefined, name: string) =>
    objects.find((object) => object.kind === kind && object.metadata.name === name),
} as SourceReader;

function envOf(more: Partial<Container>, services: readonly Service[] = []) {
  const container = testContainer('main', more);
  const pod = testPod('web', { containers: [container], enableServiceLinks: services.length > 0 });
  pod.metadata.labels = { 'app.kubernetes.io/name': 'shop' };
  return buildEnv({ pod, container, sources, services, allocatable: { cpu: '1900m', memory: '1Gi' } });
}

describe('expand', () => {
  test.each([
    ['$(A)', '1'],
    ['a$(A)b$(A)', 'a1b1'],
    ['$(NOPE)', '$(NOPE)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['$A $', '$A $'],
    ['$(A', '$(A'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, { A: '1' })).toBe(expected);
  });
});

describe('buildEnv', () => {
  test('later variables see earlier ones, not the other way round', () => {
    const env = envOf({
      env: [
        { name: 'X', value: 'x' },
        { name: 'Y', value: '$(X)-$(Z)' },
        { name: 'Z', value: 'z' },
      ],
    });
    expect(env).toEqual({ X: 'x', Y: 'x-$(Z)', Z: 'z' });
  });

  test('envFrom takes what can be a name, with its prefix; env wins over it', () => {
    expect(
      envOf({ envFrom: [{ prefix: 'P_', configMapRef: { name: 'conf' } }, { secretRef: { name: 'keys' } }] }),
    ).toEqual({
      P_A: '1',
      PW: 'hush',
    });
    expect(envOf({ envFrom: [{ configMapRef: { name: 'conf' } }], env: [{ name: 'A', value: 'own' }] }).A).toBe('own');
  });

  test('values are not expanded when they come from elsewhere', () => {
    objects.push(configMap('raw', { V: '$(A)' }));
    const env = [
      { name: 'A', value: '1' },
      { name: 'B', valueFrom: { configMapKeyRef: { name: 'raw', key: 'V' } } },
    ];
    expect(envOf({ env }).B).toBe('$(A)');
  });

  test('an optional key that is missing leaves the variable out; another is refused', () => {
    const ref = (optional: boolean) => ({ valueFrom: { secretKeyRef: { name: 'keys', key: 'nope', optional } } });
    expect(envOf({ env: [{ name: 'A', ...ref(true) }] })).toEqual({});
    expect(() => envOf({ env: [{ name: 'A', ...ref(false) }] })).toThrow(/"nope"/);
  });

  test.each([
    ['limits.cpu', undefined, '2'],
    ['limits.cpu', '1m', '1500'],
    ['limits.memory', '1Mi', '1024'],
    ['requests.memory', '1Mi', '64'],
  ])('resourceFieldRef %s in units of %s is %s', (resource, divisor, expected) => {
    const resources = { limits: { cpu: '1500m' }, requests: { memory: '64Mi' } };
    const resourceFieldRef = { resource, ...(divisor !== undefined && { divisor }) };
    expect(envOf({ resources, env: [{ name: 'R', valueFrom: { resourceFieldRef } }] }).R).toBe(expected);
  });

  test('service links are made when they are asked for', () => {
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'my-db', namespace: 'default' },
      spec: { clusterIP: '10.43.0.7', ports: [{ name: 'sql', port: 5432 }] },
    };
    expect(envOf({}, [service])).toEqual({
      MY_DB_SERVICE_HOST: '10.43.0.7',
      MY_DB_SERVICE_PORT: '5432',
      MY_DB_SERVICE_PORT_SQL: '5432',
    });
  });
});

test('the container wins over HOSTNAME and the image', () => {
  expect(mergeEnv(['PATH=/bin', 'A=image', 'E=a=b'], 'web', { A: 'own' })).toEqual({
    HOSTNAME: 'web',
    PATH: '/bin',
    A: 'own',
    E: 'a=b',
  });
});

describe('podField', () => {
  const pod = testPod('web');
  pod.metadata.labels = { "it's": 'here' };
  test.each([
    ['metadata.name', 'web'],
    ['metadata.namespace', 'default'],
    ["metadata.labels['it's']", 'here'],
    ["metadata.annotations['none']", ''],
    ['spec.nodeName', 'node-1'],
    ['status.hostIP', '192.0.2.10'],
    ['status.podIP', pod.status!.podIP!],
  ])('%s', (path, expected) => {
    expect(podField(pod, path)).toBe(expected);
  });
  test('an unknown one is refused', () => {
    expect(() => podField(pod, 'status.phase')).toThrow(/status.phase/);
  });
});

describe('buildArgv', () => {
  const image = { entrypoint: ['/entry'], cmd: ['default'] };
  test.each([
    [{}, ['/entry', 'default']],
    [{ args: ['a'] }, ['/entry', 'a']],
    [{ command: ['/cmd'] }, ['/cmd']],
    [{ command: ['/cmd'], args: ['$(A)'] }, ['/cmd', '1']],
  ])('%j', (more, expected) => {
    expect(buildArgv(testContainer('main', more), image, { A: '1' })).toEqual(expected);
  });
  test('nothing to run is refused', () => {
    expect(() => buildArgv(testContainer('main'), { entrypoint: [], cmd: [] }, {})).toThrow(/no command/);
  });
});
