import { expect, test } from 'vitest';
import { GantryError } from '../../../../lib/errors.ts';
import { configMap, createTestNode, markDeleted, secret, type TestNode, testContainer, testPod } from './fixture.ts';

async function started(options: Parameters<typeof createTestNode>[0] = {}): Promise<TestNode> {
  const node = createTestNode(options);
  await node.startAgent();
  return node;
}

const reasons = (node: TestNode): (string | undefined)[] => node.events.map(({ reason }) => reason);
const running = (node: TestNode): string[] =>
  [...node.host.containers.values()]
    .filter(({ status }) => status.state === 'running')
    .map(({ config }) => `${config.name}-${config.attempt}`)
    .sort();

test('a pod is brought up, reported, and taken down without a trace', async () => {
  const node = await started();
  const pod = testPod('web');
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('web'), 1_000);
  expect(node.status('web')).toMatchObject({
    phase: 'Running',
    podIP: pod.status!.podIP,
    observedGeneration: 1,
    containerStatuses: [{ name: 'main', ready: true, started: true, restartCount: 0, image: 'web:1' }],
  });
  expect(node.network.attached.get(pod.metadata.uid!)?.ip).toBe(pod.status!.podIP);
  expect(reasons(node)).toEqual(['Pulling', 'Pulled', 'Created', 'Started']);

  node.slice.put(markDeleted(pod));
  await node.clock.until(() => node.removed.includes('web'), 1_000);
  expect([node.host.containers.size, node.host.sandboxes.size, node.network.attached.size]).toEqual([0, 0, 0]);
  expect([node.files.records.size, node.files.volumes.size]).toEqual([0, 0]);
});

test('a container that ignores SIGTERM is killed when its grace is over, not before', async () => {
  const node = await started();
  const pod = testPod('stubborn', {
    containers: [testContainer('main', { command: ['sh', '-c', 'trap "" TERM; sleep 9999'] })],
  });
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('stubborn'), 1_000);
  node.slice.put(markDeleted(pod, 5));
  await node.clock.advance(4_900);
  expect(running(node)).toEqual(['main-0']);
  await node.clock.until(() => node.removed.includes('stubborn'), 500);
});

test('preStop runs before SIGTERM and within the grace', async () => {
  const node = await started();
  const lifecycle = { preStop: { sleep: { seconds: 3 } } };
  const pod = testPod('drains', { containers: [testContainer('main', { lifecycle })] });
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('drains'), 1_000);
  node.slice.put(markDeleted(pod));
  await node.clock.advance(2_900);
  expect(running(node)).toEqual(['main-0']);
  await node.clock.until(() => node.removed.includes('drains'), 500);
});

test('a crashing container restarts at once, then after 10 s, then after 20 s', async () => {
  const node = await started();
  node.slice.put(testPod('crash', { containers: [testContainer('main', { command: ['sh', '-c', 'exit 3'] })] }));
  await node.clock.advance(500);
  expect(node.status('crash')!.containerStatuses![0]).toMatchObject({
    restartCount: 1,
    ready: false,
    state: { waiting: { reason: 'CrashLoopBackOff' } },
    lastState: { terminated: { exitCode: 3, reason: 'Error' } },
  });
  expect(node.status('crash')!.phase).toBe('Running');
  await node.clock.advance(9_000);
  expect(node.status('crash')!.containerStatuses![0]!.restartCount).toBe(1);
  await node.clock.advance(1_500);
  expect(node.status('crash')!.containerStatuses![0]!.restartCount).toBe(2);
  await node.clock.advance(18_000);
  expect(node.status('crash')!.containerStatuses![0]!.restartCount).toBe(2);
  await node.clock.advance(3_000);
  expect(node.status('crash')!.containerStatuses![0]!.restartCount).toBe(3);
  expect(reasons(node)).toContain('BackOff');
  expect(node.host.containers.size).toBeLessThanOrEqual(2);
});

test('init containers run one by one before the containers', async () => {
  const node = await started();
  const initContainers = [
    testContainer('first', { command: ['sleep', '1'] }),
    testContainer('second', { command: ['sleep', '1'] }),
  ];
  node.slice.put(testPod('init', { initContainers }));
  await node.clock.advance(500);
  expect(running(node)).toEqual(['first-0']);
  expect(node.status('init')).toMatchObject({
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'PodInitializing' } } }],
  });
  await node.clock.advance(1_000);
  expect(running(node)).toEqual(['second-0']);
  await node.clock.until(() => node.isReady('init'), 1_500);
  expect(running(node)).toEqual(['main-0']);
  expect(node.status('init')!.initContainerStatuses).toMatchObject([
    { ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
    { ready: true, state: { terminated: { exitCode: 0 } } },
  ]);
});

test('a failing init container fails a pod that never restarts', async () => {
  const node = await started();
  const initContainers = [testContainer('setup', { command: ['false'] })];
  node.slice.put(testPod('once', { initContainers, restartPolicy: 'Never' }));
  await node.clock.until(() => node.status('once')?.phase === 'Failed', 1_000);
  await node.clock.advance(1_000);
  expect([node.host.containers.size, node.host.sandboxes.size]).toEqual([0, 0]);
});

test.each([
  ['OnFailure', 'true', 'Succeeded'],
  ['Never', 'true', 'Succeeded'],
  ['Never', 'false', 'Failed'],
] as const)('restartPolicy %s and a command that is %s: %s', async (restartPolicy, command, phase) => {
  const node = await started();
  const pod = testPod('job', { restartPolicy, containers: [testContainer('main', { command: [command] })] });
  node.slice.put(pod);
  await node.clock.until(() => node.status('job')?.phase === phase, 1_000);
  await node.clock.advance(60_000);
  expect([node.host.containers.size, node.host.sandboxes.size, node.network.attached.size]).toEqual([0, 0, 0]);
  expect(node.status('job')!.containerStatuses![0]!.state!.terminated!.exitCode).toBe(command === 'true' ? 0 : 1);
  // Also when the agent forgot everything it had in memory.
  await node.stopAgent();
  await node.startAgent();
  await node.clock.advance(1_000);
  expect(node.status('job')!.phase).toBe(phase);
  expect(node.host.containers.size).toBe(0);
  node.slice.put(markDeleted(pod));
  await node.clock.until(() => node.removed.includes('job'), 1_000);
  expect(node.files.records.size).toBe(0);
});

test('a command that does not exist says so and is tried again', async () => {
  const node = await started();
  node.slice.put(testPod('typo', { containers: [testContainer('main', { command: ['/no/such/thing'] })] }));
  await node.clock.advance(500);
  const status = node.status('typo')!.containerStatuses![0]!;
  expect(status.state!.waiting!.reason).toBe('CrashLoopBackOff');
  expect(status.lastState!.terminated).toMatchObject({ reason: 'StartError', exitCode: 127 });
  expect(status.lastState!.terminated!.message).toContain('no such file');
  expect(node.events.some(({ reason, message }) => reason === 'Failed' && message?.includes('no such file'))).toBe(
    true,
  );
});

test('an image that cannot be pulled: ErrImagePull, then ImagePullBackOff, then it comes', async () => {
  const node = await started();
  node.registry.fail('web:1', 'ImageNotFound');
  node.slice.put(testPod('nope'));
  await node.clock.advance(500);
  expect(node.status('nope')!.containerStatuses![0]!.state!.waiting!.reason).toBe('ErrImagePull');
  await node.clock.advance(2_500);
  const waiting = node.status('nope')!.containerStatuses![0]!.state!.waiting!;
  expect(waiting.reason).toBe('ImagePullBackOff');
  expect(waiting.message).toContain('web:1');
  expect(node.status('nope')!.phase).toBe('Pending');
  node.registry.fail('web:1', undefined);
  await node.clock.until(() => node.isReady('nope'), 11_000);
});

test('an invalid image name and a forbidden pull are named as such', async () => {
  const node = await started();
  node.slice.put(testPod('bad', { containers: [testContainer('main', { image: 'UPPER CASE' })] }));
  node.slice.put(testPod('never', { containers: [testContainer('main', { imagePullPolicy: 'Never' })] }));
  await node.clock.advance(500);
  expect(node.status('bad')!.containerStatuses![0]!.state!.waiting!.reason).toBe('InvalidImageName');
  expect(node.status('never')!.containerStatuses![0]!.state!.waiting!.reason).toBe('ErrImageNeverPull');
});

test('a missing ConfigMap or Secret holds the pod and is named; once created the pod starts', async () => {
  const node = await started();
  const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'k' } } }];
  const container = testContainer('main', { env, volumeMounts: [{ name: 'conf', mountPath: '/conf' }] });
  node.slice.put(
    testPod('conf', { containers: [container], volumes: [{ name: 'conf', configMap: { name: 'settings' } }] }),
  );
  await node.clock.advance(500);
  const waiting = (): { reason?: string; message?: string } =>
    node.status('conf')!.containerStatuses![0]!.state!.waiting!;
  expect(waiting().reason).toBe('CreateContainerConfigError');
  expect(waiting().message).toContain('ConfigMap "settings"');
  expect(node.host.sandboxes.size).toBe(0);
  expect(reasons(node).filter((reason) => reason === 'FailedMount')).toHaveLength(1);
  node.slice.put(configMap('settings', { a: '1' }));
  await node.clock.advance(500);
  expect(waiting().message).toContain('Secret "keys"');
  node.slice.put(secret('keys', { other: 'x' }));
  await node.clock.advance(500);
  expect(waiting().message).toContain('key "k"');
  node.slice.put(secret('keys', { k: 'hush' }));
  await node.clock.until(() => node.isReady('conf'), 1_000);
  expect([...node.host.containers.values()][0]!.config.env).toMatchObject({ KEY: 'hush' });
});

test('a changed ConfigMap reaches the volume without a restart', async () => {
  const node = await started();
  node.slice.put(configMap('settings', { a: '1' }));
  const pod = testPod('conf', { volumes: [{ name: 'conf', configMap: { name: 'settings' } }] });
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('conf'), 1_000);
  node.slice.put(configMap('settings', { a: '2' }));
  await node.clock.advance(500);
  const [plan] = node.files.volumes.get(pod.metadata.uid!)!;
  expect(plan).toMatchObject({ type: 'files', files: [{ path: 'a', data: Buffer.from('2') }] });
  expect(running(node)).toEqual(['main-0']);
});

test('readiness decides about Ready; liveness restarts', async () => {
  const node = await started();
  let healthy = false;
  node.answer = (check) =>
    check.type === 'http' ? { success: healthy, message: 'HTTP status 503' } : { success: true, message: '' };
  const probe = { periodSeconds: 2, failureThreshold: 2, successThreshold: 1, timeoutSeconds: 1 };
  const container = testContainer('main', { readinessProbe: { ...probe, httpGet: { port: '80' } } });
  node.slice.put(testPod('probed', { containers: [container] }));
  await node.clock.advance(1_000);
  expect(node.status('probed')).toMatchObject({
    phase: 'Running',
    containerStatuses: [{ ready: false, started: true }],
  });
  healthy = true;
  await node.clock.until(() => node.isReady('probed'), 2_000);
  healthy = false;
  await node.clock.advance(1_900);
  expect(node.isReady('probed')).toBe(true);
  await node.clock.until(() => !node.isReady('probed'), 4_000);
  expect(running(node)).toEqual(['main-0']);

  let alive = true;
  node.answer = () => ({ success: alive, message: 'exit status 1' });
  const living = testContainer('main', { livenessProbe: { ...probe, exec: { command: ['check'] } } });
  node.slice.put(testPod('living', { containers: [living] }));
  await node.clock.until(() => node.isReady('living'), 1_000);
  alive = false;
  await node.clock.until(() => (node.status('living')?.containerStatuses?.[0]?.restartCount ?? 0) >= 1, 5_000);
  expect(reasons(node)).toEqual(expect.arrayContaining(['Unhealthy', 'Killing']));
});

test('a startup probe holds back the others and kills when its budget is used up', async () => {
  const node = await started();
  const asked: string[] = [];
  node.answer = (check) => {
    const what = check.type === 'tcp' ? 'startup' : 'readiness';
    asked.push(what);
    return { success: false, message: 'refused' };
  };
  const container = testContainer('main', {
    startupProbe: {
      tcpSocket: { port: '80' },
      periodSeconds: 1,
      failureThreshold: 5,
      timeoutSeconds: 1,
      successThreshold: 1,
    },
    readinessProbe: {
      httpGet: { port: '80' },
      periodSeconds: 1,
      failureThreshold: 3,
      timeoutSeconds: 1,
      successThreshold: 1,
    },
  });
  node.slice.put(testPod('slow', { containers: [container] }));
  await node.clock.advance(4_000);
  expect(new Set(asked)).toEqual(new Set(['startup']));
  expect(node.status('slow')!.containerStatuses![0]).toMatchObject({ started: false, restartCount: 0 });
  await node.clock.until(() => node.status('slow')!.containerStatuses![0]!.restartCount === 1, 5_000);
});

test('a first readiness success is seen within some 100 ms', async () => {
  const node = await started();
  let ready = false;
  node.answer = () => ({ success: ready, message: '' });
  const container = testContainer('main', { readinessProbe: { httpGet: { port: '80' }, periodSeconds: 10 } });
  node.slice.put(testPod('quick', { containers: [container] }));
  await node.clock.advance(300);
  ready = true;
  await node.clock.until(() => node.isReady('quick'), 500);
});

test('a restarted agent adopts what runs: no restart, no moment of unreadiness', async () => {
  const node = await started();
  const probe = { httpGet: { port: '80' }, periodSeconds: 10, failureThreshold: 3 };
  node.slice.put(
    testPod('web', { containers: [testContainer('main', { readinessProbe: probe }), testContainer('side')] }),
  );
  await node.clock.until(() => node.isReady('web'), 1_000);
  const pids = (): (number | undefined)[] => [...node.host.containers.values()].map(({ status }) => status.pid);
  const before = pids();
  for (const end of ['crash', 'stop']) {
    if (end === 'crash') node.crashAgent();
    else await node.stopAgent();
    await node.clock.advance(3_000);
    const seen = node.history.length;
    await node.startAgent();
    await node.clock.advance(5_000);
    const later = node.history
      .slice(seen)
      .map(({ status }) => status.conditions!.find(({ type }) => type === 'Ready')!.status);
    expect(later.length).toBeGreaterThan(0);
    expect(new Set(later)).toEqual(new Set(['True']));
    expect(pids()).toEqual(before);
  }
});

test('until there is a slice, nothing is touched', async () => {
  const node = await started();
  node.slice.put(testPod('kept'), testPod('taken'));
  await node.clock.until(() => node.isReady('kept') && node.isReady('taken'), 1_000);
  await node.stopAgent();
  node.slice.forget();
  await node.startAgent();
  await node.clock.advance(60_000);
  expect(running(node)).toEqual(['main-0', 'main-0']);
  node.slice.put(configMap('unrelated', {}));
  await node.clock.until(() => node.removed.length === 2, 1_000);
  expect(node.host.sandboxes.size).toBe(0);
});

test('a pod taken away while the agent was down is stopped; an older slice proves nothing', async () => {
  const node = await started();
  const pod = testPod('taken');
  node.slice.put(testPod('kept'));
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('taken'), 1_000);
  await node.stopAgent();
  node.slice.remove('Pod', 'taken');
  // As if the copy on disk were from before the pod came.
  const record = node.files.records.get(pod.metadata.uid!)!;
  await node.files.saveRecord({ ...record, sliceRevision: '1000' });
  await node.startAgent();
  await node.clock.advance(5_000);
  expect(running(node)).toEqual(['main-0', 'main-0']);
  await node.stopAgent();
  await node.files.saveRecord(record);
  await node.startAgent();
  await node.clock.until(() => node.removed.includes('taken'), 1_000);
  expect(running(node)).toEqual(['main-0']);
});

test('a node that rebooted runs its pods again, with the same addresses', async () => {
  const node = await started();
  const pod = testPod('web', { initContainers: [testContainer('init', { command: ['true'] })] });
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('web'), 1_000);
  node.crashAgent();
  node.host.powerOff();
  await node.startAgent();
  await node.clock.until(() => running(node).length === 1 && node.isReady('web'), 5_000);
  expect(running(node)).toEqual(['main-1']);
  expect(node.status('web')!.containerStatuses![0]!.restartCount).toBe(1);
  expect(node.network.attached.get(pod.metadata.uid!)!.ip).toBe(pod.status!.podIP);
});

test('a dead pause process means new namespaces and restarted containers', async () => {
  const node = await started();
  const pod = testPod('web');
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('web'), 1_000);
  const before = node.network.attached.get(pod.metadata.uid!)!.netnsPath;
  node.host.killSandbox(pod.metadata.uid!);
  await node.clock.until(() => running(node).includes('main-1'), 5_000);
  await node.clock.until(() => node.isReady('web'), 1_000);
  expect(node.network.attached.get(pod.metadata.uid!)!.netnsPath).not.toBe(before);
});

test('a new image restarts its container alone, without back-off', async () => {
  const node = await started();
  const pod = testPod('web', { containers: [testContainer('main'), testContainer('side')] });
  node.slice.put(pod);
  await node.clock.until(() => node.isReady('web'), 1_000);
  const changed = {
    ...pod,
    spec: { ...pod.spec, containers: [testContainer('main', { image: 'web:2' }), testContainer('side')] },
  };
  node.slice.put(changed);
  await node.clock.until(() => running(node).includes('main-1') && node.isReady('web'), 1_000);
  expect(running(node)).toEqual(['main-1', 'side-0']);
  expect(node.host.containers.get(`${pod.metadata.uid}-main-1`)!.config.argv).toEqual(['/bin/web', '2']);
});

test('activeDeadlineSeconds fails the pod', async () => {
  const node = await started();
  node.slice.put(testPod('timed', { activeDeadlineSeconds: 5 }));
  await node.clock.until(() => node.isReady('timed'), 1_000);
  await node.clock.until(() => node.status('timed')?.phase === 'Failed', 6_000);
  expect(node.status('timed')!.reason).toBe('DeadlineExceeded');
  await node.clock.advance(1_000);
  expect(node.host.containers.size).toBe(0);
});

test('postStart comes before ready and before later containers; its failure restarts', async () => {
  const node = await started();
  const lifecycle = { postStart: { sleep: { seconds: 2 } } };
  node.slice.put(testPod('hooked', { containers: [testContainer('main', { lifecycle }), testContainer('side')] }));
  await node.clock.advance(1_500);
  expect(running(node)).toEqual(['main-0']);
  expect(node.isReady('hooked')).toBe(false);
  await node.clock.until(() => node.isReady('hooked'), 1_500);

  node.answer = () => ({ success: false, message: 'exit status 1' });
  const failing = { postStart: { exec: { command: ['nope'] } } };
  node.slice.put(testPod('broken', { containers: [testContainer('main', { lifecycle: failing })] }));
  await node.clock.until(() => (node.status('broken')?.containerStatuses?.[0]?.restartCount ?? 0) >= 1, 5_000);
  expect(reasons(node)).toContain('FailedPostStartHook');
});

test('a node under pressure takes no new pods, says why, keeps those it has, and takes them when it is well', async () => {
  const node = await started();
  node.slice.put(testPod('old'));
  await node.clock.until(() => node.isReady('old'), 1_000);
  node.pressure = 'the disk is full';
  node.slice.put(testPod('new'));
  await node.clock.advance(1_000);
  expect(running(node)).toHaveLength(1);
  expect(node.status('new')!.message).toBe('the disk is full');
  expect(node.events.some(({ message }) => message === 'the disk is full')).toBe(true);
  node.pressure = undefined;
  await node.clock.until(() => node.isReady('new'), 5_000);
});

test('a termination message reaches the status', async () => {
  const node = await started();
  const pod = testPod('words', {
    restartPolicy: 'Never',
    containers: [testContainer('main', { command: ['sh', '-c', 'sleep 1; exit 2'] })],
  });
  node.slice.put(pod);
  node.files.terminationMessages.set(`${pod.metadata.uid}-main-0`, 'out of luck');
  await node.clock.until(() => node.status('words')?.phase === 'Failed', 3_000);
  expect(node.status('words')!.containerStatuses![0]!.state!.terminated!.message).toBe('out of luck');
});

const failure = new GantryError('internal', 'injected');

test.each(['createSandbox', 'createContainer', 'startContainer'] as const)(
  'a failing %s is tried again and told',
  async (operation) => {
    const node = await started();
    node.host.failNext(operation, failure);
    node.host.failNext(operation, failure);
    node.slice.put(testPod('web'));
    await node.clock.advance(300);
    expect(node.isReady('web')).toBe(false);
    await node.clock.until(() => node.isReady('web'), 5_000);
    expect(node.events.some(({ message }) => message?.includes('injected'))).toBe(true);
  },
);
