/** Small pure parts: backoff, resources, user ids, volumes, container configuration. */
import { describe, expect, test } from 'vitest';
import { emptyImageConfig } from '../../../../node-agent/images/fake.ts';
import { containerConfig, sandboxConfig, usesHostUsers } from '../../../../node-agent/pods/container-config.ts';
import { containerResources, podResources, qosClass } from '../../../../node-agent/pods/resources.ts';
import {
  pullDelayMs,
  quickRestartsAfter,
  restartDelayMs,
  stepDelayMs,
} from '../../../../node-agent/pods/restart-backoff.ts';
import type { SourceReader } from '../../../../node-agent/pods/sources.ts';
import { mountPointsBelow } from '../../../../node-agent/pods/tmpfs.ts';
import { allocateIdRange } from '../../../../node-agent/pods/user-ids.ts';
import { plannedMounts, planVolumes } from '../../../../node-agent/pods/volumes.ts';
import type { Container, PodSpec } from '../../../../proto/gen/types.ts';
import { configMap, secret, testContainer, testPod } from './fixture.ts';

describe('backoff', () => {
  test('restarts: at once, 10 s, doubling to 5 min, forgiven after 10 min', () => {
    expect([0, 1, 2, 3, 5, 6, 60].map(restartDelayMs)).toEqual([0, 10_000, 20_000, 40_000, 160_000, 300_000, 300_000]);
    expect(quickRestartsAfter(4, 599_999)).toBe(4);
    expect(quickRestartsAfter(4, 600_000)).toBe(0);
  });
  test('pulls and steps', () => {
    expect([1, 2, 3, 8].map(pullDelayMs)).toEqual([2_000, 10_000, 20_000, 300_000]);
    expect([1, 2, 20].map(stepDelayMs)).toEqual([500, 1_000, 60_000]);
  });
});

describe('resources', () => {
  const limited = (limits: Record<string, string>): Container => testContainer('c', { resources: { limits } });
  test('a container asks for what it is limited to, and has a limit of processes', () => {
    expect(containerResources(limited({ cpu: '500m', memory: '64Mi' }))).toEqual({
      cpuRequestMillis: 500,
      cpuLimitMillis: 500,
      memoryRequestBytes: 64 * 2 ** 20,
      memoryLimitBytes: 64 * 2 ** 20,
      pidsLimit: 4096,
    });
  });
  test('the pod is bounded by the sum, or by a larger init container; without a limit of one there is none', () => {
    const spec: PodSpec = {
      containers: [limited({ memory: '10Mi' }), limited({ memory: '20Mi', cpu: '1' })],
      initContainers: [limited({ memory: '50Mi' })],
    };
    expect(podResources(spec).memoryLimitBytes).toBe(50 * 2 ** 20);
    expect(podResources(spec).cpuLimitMillis).toBeUndefined();
    expect(podResources(spec).cpuRequestMillis).toBe(1000);
    expect(podResources(spec).pidsLimit).toBe(8192);
  });
  test.each([
    [{}, 'BestEffort'],
    [{ requests: { cpu: '1' } }, 'Burstable'],
    [{ limits: { cpu: '1', memory: '1Gi' } }, 'Guaranteed'],
    [{ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }, 'Burstable'],
  ])('%j is %s', (resources, expected) => {
    expect(qosClass({ containers: [testContainer('c', { resources })] })).toBe(expected);
  });
});

describe('user ids', () => {
  test('each pod has 65,536 of its own, above those of the machine', () => {
    const taken = new Set<number>();
    for (let index = 0; index < 200; index += 1) {
      const start = allocateIdRange(taken, 'node-1');
      expect(taken.has(start)).toBe(false);
      expect(start).toBeGreaterThanOrEqual(2 ** 20);
      expect((start - 2 ** 20) % 65_536).toBe(0);
      expect(start + 65_536).toBeLessThan(2 ** 32);
      taken.add(start);
    }
  });
  test('a block is given again when it is free, and nodes begin at different places', () => {
    expect(allocateIdRange(new Set(), 'node-1')).toBe(allocateIdRange(new Set(), 'node-1'));
    expect(allocateIdRange(new Set(), 'node-1')).not.toBe(allocateIdRange(new Set(), 'node-2'));
  });
  test.each([
    [{}, false],
    [{ hostUsers: true }, true],
    [{ hostNetwork: true }, true],
    [{ hostPID: true }, true],
    [{ hostIPC: true }, true],
  ])('%j shares the users of the host: %s', (spec, expected) => {
    expect(usesHostUsers(testPod('web', spec))).toBe(expected);
  });
});

describe('volumes', () => {
  const objects = [configMap('conf', { b: 'B', a: 'A' }), secret('keys', { pw: 'hush' })];
  const sources = {
    get: (kind: string, _namespace: string | undefined, name: string) =>
      objects.find((object) => object.kind === kind && object.metadata.name === name),
  } as SourceReader;
  const plan = (volume: object) => planVolumes(testPod('web', { volumes: [{ name: 'v', ...volume }] }), sources)[0]!;
  test('keys become files, items choose and place them', () => {
    expect(plan({ configMap: { name: 'conf' } })).toMatchObject({
      secret: false,
      files: [
        { path: 'a', mode: 0o644 },
        { path: 'b', mode: 0o644 },
      ],
    });
    const items = [{ key: 'pw', path: 'deep/er', mode: 0o400 }];
    expect(plan({ secret: { secretName: 'keys', items } })).toMatchObject({
      secret: true,
      files: [{ path: 'deep/er', mode: 0o400, data: Buffer.from('hush') }],
    });
  });
  test('an optional source may be missing', () => {
    expect(plan({ configMap: { name: 'none', optional: true } })).toMatchObject({ type: 'files', files: [] });
  });
  test.each(['../up', '/abs', 'a/../../b', ''])('a path "%s" that leads out is refused', (path) => {
    expect(() => plan({ configMap: { name: 'conf', items: [{ key: 'a', path }] } })).toThrow(/relative/);
    if (path === '') return;
    const container = testContainer('main', { volumeMounts: [{ name: 'v', mountPath: '/v', subPath: path }] });
    expect(() => plannedMounts(container, [{ type: 'emptyDir', name: 'v', memory: false }])).toThrow(/relative/);
  });
  test('parents are mounted before what is inside them; an unknown volume is refused', () => {
    const volumeMounts = ['/a/b', '/a', '/a/b/c'].map((mountPath) => ({ name: 'v', mountPath }));
    const mounts = plannedMounts(testContainer('main', { volumeMounts }), [
      { type: 'emptyDir', name: 'v', memory: false },
    ]);
    expect(mounts.map(({ mount }) => mount.mountPath)).toEqual(['/a', '/a/b', '/a/b/c']);
    expect(() => plannedMounts(testContainer('main', { volumeMounts }), [])).toThrow(/spec.volumes/);
  });
  test('mount points are found with their escapes, deepest first', () => {
    const table =
      '1 0 0:1 / /run/x rw - tmpfs t rw\n2 0 0:1 / /run/x/a\\040b rw - tmpfs t rw\n3 0 0:1 / /run/xy rw - tmpfs t rw\n';
    expect(mountPointsBelow(table, '/run/x')).toEqual(['/run/x/a b', '/run/x']);
  });
});

describe('container configuration', () => {
  const configOf = (container: Partial<Container>, spec: Partial<PodSpec> = {}, user = '') =>
    containerConfig({
      pod: testPod('web', spec),
      container: testContainer('main', container),
      attempt: 2,
      imageId: 'image',
      image: { ...emptyImageConfig, user },
      env: {},
      volumeMounts: [],
      folders: { dataDir: '/data', runDir: '/run' },
    });
  test.each([
    [{}, {}, 'www', 'www'],
    [{ securityContext: { runAsUser: 7 } }, {}, 'www', '7'],
    [{ securityContext: { runAsUser: 7, runAsGroup: 8 } }, {}, '', '7:8'],
    [{}, { securityContext: { runAsUser: 5, runAsGroup: 6 } }, '', '5:6'],
    [{ securityContext: { runAsGroup: 8 } }, {}, 'www:www', 'www:8'],
    [{ securityContext: { runAsUser: 0 } }, { securityContext: { runAsUser: 5 } }, '', '0'],
  ])('%j in %j of an image for "%s" runs as "%s"', (container, spec, imageUser, expected) => {
    expect(configOf(container, spec, imageUser).user).toBe(expected);
  });
  test.each(['', 'root', '0', '0:0'])('runAsNonRoot refuses an image for "%s"', (user) => {
    expect(() => configOf({ securityContext: { runAsNonRoot: true } }, {}, user)).toThrow(/runAsNonRoot/);
  });
  test('fsGroup and supplemental groups reach the process', () => {
    expect(configOf({}, { securityContext: { fsGroup: 1, supplementalGroups: [2, 1] } }).supplementalGroups).toEqual([
      1, 2,
    ]);
  });
  test("a volume in the place of one of the agent's files wins", () => {
    const mount = { hostPath: '/x', containerPath: '/etc/hosts', readOnly: true };
    const pod = testPod('web');
    const config = containerConfig({
      pod,
      container: testContainer('main'),
      attempt: 0,
      imageId: 'image',
      image: emptyImageConfig,
      env: {},
      volumeMounts: [mount],
      folders: { dataDir: '/data', runDir: '/run' },
    });
    expect(config.mounts.filter(({ containerPath }) => containerPath === '/etc/hosts')).toEqual([mount]);
    expect(config.logPath).toBe(`/data/logs/default_web_${pod.metadata.uid}/main/0.log`);
  });
  test('the sandbox of a host network pod has no user namespace', () => {
    expect(sandboxConfig(testPod('web', { hostNetwork: true }), undefined).userNamespace).toBeUndefined();
    expect(sandboxConfig(testPod('web'), 65_536).userNamespace).toEqual({ hostIdStart: 65_536, size: 65_536 });
  });
});
