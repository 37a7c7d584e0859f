/** One state, one next step. The whole life is in lifecycle.test.ts and convergence.test.ts. */
import { describe, expect, test } from 'vitest';
import { actionKey } from '../../../../node-agent/pods/actions.ts';
import { newActivity, type PodActivity } from '../../../../node-agent/pods/activity.ts';
import { nextAction } from '../../../../node-agent/pods/next-action.ts';
import type { ObservedPod } from '../../../../node-agent/pods/observe.ts';
import { beginProbes } from '../../../../node-agent/pods/probes.ts';
import { type ContainerRecord, newRecord } from '../../../../node-agent/pods/record.ts';
import { podStatus } from '../../../../node-agent/pods/status.ts';
import type { ContainerStatus } from '../../../../node-agent/runtime/runtime.ts';
import type { Pod, PodSpec } from '../../../../proto/gen/types.ts';
import { markDeleted, testContainer, testPod } from './fixture.ts';

const nowMs = 1_000_000;

interface State {
  readonly spec?: Partial<PodSpec>;
  readonly sandbox?: 'alive' | 'dead';
  readonly containers?: readonly Partial<ContainerStatus>[];
  readonly record?: Readonly<Record<string, Partial<ContainerRecord>>>;
  readonly activity?: (activity: PodActivity, pod: Pod) => void;
  readonly observed?: Partial<ObservedPod>;
  readonly deleted?: boolean;
}

/** A pod that has come as far as its network, unless told otherwise. */
function build({ spec, sandbox, containers = [], record = {}, activity: change, observed, deleted }: State) {
  const pod = testPod('web', spec);
  const uid = pod.metadata.uid!;
  const activity = newActivity();
  Object.assign(activity, { recordSaved: true, network: sandbox ? 41 : 'detached', volumesVersion: 'v1' });
  for (const { name } of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    const image = { id: 'image', digest: '', reference: 'web:1', sizeBytes: 1, config: {} as never };
    activity.images.set(name, { reference: 'web:1', attempt: 0, state: 'present', image, failures: 0, retryAtMs: 0 });
  }
  const statuses = containers.map((status): ContainerStatus => {
    const { name = 'main', attempt = 0 } = status;
    const id = `${uid}-${name}-${attempt}`;
    return { id, podUid: uid, name, attempt, imageId: 'image', state: 'running', createdAtMs: 0, ...status };
  });
  const entry = { attempt: 0, firstAttempt: 0, image: 'web:1', stopSignal: 'SIGTERM', quickRestarts: 0 };
  const full: ObservedPod = {
    sandbox: sandbox && { podUid: uid, pid: 41, netnsPath: '/n', alive: sandbox === 'alive', createdAtMs: 0 },
    containers: statuses,
    record: {
      ...newRecord(pod, 0),
      containers: Object.fromEntries(Object.entries(record).map(([name, more]) => [name, { ...entry, ...more }])),
    },
    activity,
    sources: { version: 'v1', missingVolumes: [], missingEnv: {} },
    ...observed,
  };
  change?.(activity, pod);
  return { pod: deleted ? markDeleted(pod) : pod, observed: full, uid };
}

function step(state: State): string {
  const { pod, observed, uid } = build(state);
  const action = nextAction(pod, observed, nowMs);
  return action.type === 'wait' ? `wait ${action.untilMs ?? ''}`.trim() : actionKey(action).replace(`${uid}-`, '');
}

const running = { containers: [{}], record: { main: {} } };
const exited = (exitCode: number) => ({
  containers: [{ state: 'exited' as const, exitCode, startedAtMs: 0 }],
  record: { main: {} },
});
const probed = (activity: PodActivity, pod: Pod): void =>
  void activity.probes.set(`${pod.metadata.uid}-main-0`, beginProbes(pod.spec.containers[0]!, 0));
const set = (change: Partial<PodActivity>) => (activity: PodActivity) => void Object.assign(activity, change);
const forget = (activity: PodActivity): void =>
  void Object.assign(activity, { volumesVersion: undefined, network: 'unknown' });

describe('on the way up', () => {
  test.each<[string, State, string]>([
    ['images come first, beside all else', { activity: (a) => a.images.clear() }, 'pullImage'],
    ['volumes', { activity: set({ volumesVersion: 'v0' }) }, 'prepareVolumes'],
    [
      'no volumes while a source is missing',
      { activity: forget, observed: { sources: { version: 'v1', missingVolumes: ['gone'], missingEnv: {} } } },
      'wait',
    ],
    ['nothing while the node is under pressure', { observed: { nodePressure: 'full' } }, `wait ${nowMs + 2_000}`],
    ['the sandbox', {}, 'createSandbox'],
    ['the network', { sandbox: 'alive', activity: set({ network: 'detached' }) }, 'attachNetwork'],
    [
      'no network of its own on the host network',
      { sandbox: 'alive', spec: { hostNetwork: true }, activity: set({ network: 'detached' }) },
      'createContainer main',
    ],
    ['the container', { sandbox: 'alive' }, 'createContainer main'],
    [
      'not without its environment',
      { sandbox: 'alive', observed: { sources: { version: 'v1', missingVolumes: [], missingEnv: { main: 'no' } } } },
      'wait',
    ],
    [
      'its start',
      { sandbox: 'alive', containers: [{ state: 'created' }], record: { main: {} } },
      'startContainer main-0',
    ],
    ['then there is nothing to do', { sandbox: 'alive', ...running, activity: probed }, 'wait'],
    [
      'init containers go first',
      { sandbox: 'alive', spec: { initContainers: [testContainer('init')] } },
      'createContainer init',
    ],
    [
      'one that failed is run again',
      {
        sandbox: 'alive',
        spec: { initContainers: [testContainer('init')] },
        containers: [{ name: 'init', state: 'exited', exitCode: 1 }],
        record: { init: {} },
        activity: (a) => a.images.clear(),
      },
      'pullImage',
    ],
    [
      'what failed waits out its time',
      {
        activity: (a) =>
          void a.failures.set('createSandbox', { count: 1, retryAtMs: nowMs + 5, message: '', configuration: false }),
      },
      `wait ${nowMs + 5}`,
    ],
  ])('%s', (_name, state, expected) => {
    expect(step(state)).toBe(expected);
  });
});

describe('while it runs', () => {
  test.each<[string, State, string]>([
    [
      'a crash is followed by a restart',
      {
        sandbox: 'alive',
        ...exited(1),
        activity: (a) => void a.images.set('main', { ...a.images.get('main')!, attempt: 1 }),
      },
      'createContainer main',
    ],
    [
      'later ones wait',
      {
        sandbox: 'alive',
        ...exited(1),
        record: { main: { quickRestarts: 1 } },
        activity: (a, pod) => void a.exits.set(`${pod.metadata.uid}-main-0`, nowMs),
      },
      `wait ${nowMs + 10_000}`,
    ],
    [
      'a job that is done is finished',
      { sandbox: 'alive', spec: { restartPolicy: 'OnFailure' }, ...exited(0) },
      'finish',
    ],
    [
      'a job that failed and never restarts is finished too',
      { sandbox: 'alive', spec: { restartPolicy: 'Never' }, ...exited(1) },
      'finish',
    ],
    [
      'an adopted container is first of all attached again',
      {
        sandbox: 'alive',
        ...running,
        activity: (a, pod) => {
          probed(a, pod);
          a.network = 'unknown';
        },
      },
      'attachNetwork',
    ],
    ['without its pause process what runs is killed', { sandbox: 'dead', ...running }, 'beginStop main-0'],
    ['then the old cable goes', { sandbox: 'dead', ...exited(137) }, 'detachNetwork'],
    [
      'a new image stops the old container',
      {
        sandbox: 'alive',
        spec: { containers: [testContainer('main')] },
        containers: [{}],
        record: { main: { image: 'web:0' } },
        activity: (a, pod) => {
          probed(a, pod);
          a.images.set('main', { ...a.images.get('main')!, attempt: 1 });
        },
      },
      'beginStop main-0',
    ],
    [
      'old attempts are forgotten but for one',
      {
        sandbox: 'alive',
        containers: [{ attempt: 3 }, { attempt: 2, state: 'exited' }, { attempt: 1, state: 'exited' }],
        record: { main: { attempt: 3 } },
        activity: (a, pod) => void a.probes.set(`${pod.metadata.uid}-main-3`, {}),
      },
      'removeContainer main-1',
    ],
    [
      'the deadline stops it',
      {
        sandbox: 'alive',
        spec: { activeDeadlineSeconds: 5 },
        ...running,
        activity: (a, pod) => {
          probed(a, pod);
          a.deadlineAtMs = nowMs;
        },
      },
      'beginStop main-0',
    ],
  ])('%s', (_name, state, expected) => {
    expect(step(state)).toBe(expected);
  });
});

describe('on the way down', () => {
  const stopping = (more: object) => (a: PodActivity, pod: Pod) =>
    void a.stops.set(`${pod.metadata.uid}-main-0`, {
      reason: 'deleted',
      startedAtMs: nowMs,
      graceMs: 30_000,
      preStop: 'none',
      ...more,
    });
  const down = { deleted: true, sandbox: 'alive' as const, ...running };
  test.each<[string, State, string]>([
    ['stopping begins', down, 'beginStop main-0'],
    ['the signal', { ...down, activity: stopping({}) }, 'signalContainer main-0'],
    [
      'preStop is waited for, within the grace',
      { ...down, activity: stopping({ preStop: 'running' }) },
      `wait ${nowMs + 30_000}`,
    ],
    ['the grace', { ...down, activity: stopping({ signalledAtMs: nowMs }) }, `wait ${nowMs + 30_000}`],
    [
      'its end',
      { ...down, activity: stopping({ startedAtMs: nowMs - 30_000, signalledAtMs: 1 }) },
      'signalContainer main-0',
    ],
    [
      'after a long preStop two more seconds',
      {
        ...down,
        activity: stopping({
          startedAtMs: nowMs - 30_000,
          preStop: 'done',
          preStopEndedAtMs: nowMs - 500,
          signalledAtMs: 1,
        }),
      },
      `wait ${nowMs + 1_500}`,
    ],
    [
      'a killed one that is stuck is killed again',
      { ...down, activity: stopping({ startedAtMs: 0, signalledAtMs: 1, killedAtMs: nowMs - 1 }) },
      `wait ${nowMs + 4_999}`,
    ],
    ['what has ended is removed', { deleted: true, sandbox: 'alive', ...exited(0) }, 'removeContainer main-0'],
    ['then the cable', { deleted: true, sandbox: 'alive' }, 'detachNetwork'],
    ['then the sandbox', { deleted: true, sandbox: 'alive', activity: set({ network: 'detached' }) }, 'removeSandbox'],
    ['then the files', { deleted: true }, 'removeFiles'],
    ['then it is said', { deleted: true, activity: set({ files: 'removed' }) }, 'reportRemoved'],
  ])('%s', (_name, state, expected) => {
    expect(step(state)).toBe(expected);
  });

  test('a pod that was taken away goes the same way', () => {
    const { observed } = build({ sandbox: 'alive', ...running });
    expect(nextAction(undefined, observed, nowMs).type).toBe('beginStop');
  });

  test('SIGKILL comes at once without grace', () => {
    const { pod, observed, uid } = build({ ...down, activity: stopping({ graceMs: 0 }) });
    expect(nextAction(pod, observed, nowMs)).toEqual({
      type: 'signalContainer',
      id: `${uid}-main-0`,
      signal: 'SIGKILL',
    });
  });
});

describe('status', () => {
  const statusOf = (state: State) => {
    const { pod, observed } = build(state);
    return podStatus({ pod, observed, previous: undefined, nowMs: 0, monotonicMs: nowMs });
  };
  const main = (state: State) => statusOf(state).containerStatuses![0]!;
  test.each<[string, State, string, string]>([
    ['before anything', {}, 'Pending', 'waiting ContainerCreating'],
    [
      'waiting for init',
      { sandbox: 'alive', spec: { initContainers: [testContainer('init')] } },
      'Pending',
      'waiting PodInitializing',
    ],
    ['running', { sandbox: 'alive', ...running }, 'Running', 'running '],
    ['crashed, to be restarted', { sandbox: 'alive', ...exited(2) }, 'Running', 'terminated Error'],
    [
      'backing off',
      {
        sandbox: 'alive',
        ...exited(2),
        record: { main: { quickRestarts: 3 } },
        activity: (a, pod) => void a.exits.set(`${pod.metadata.uid}-main-0`, nowMs),
      },
      'Running',
      'waiting CrashLoopBackOff',
    ],
    ['done', { sandbox: 'alive', spec: { restartPolicy: 'Never' }, ...exited(0) }, 'Succeeded', 'terminated Completed'],
    [
      'failed for good',
      { sandbox: 'alive', spec: { restartPolicy: 'Never' }, ...exited(1) },
      'Failed',
      'terminated Error',
    ],
    [
      'out of memory',
      {
        sandbox: 'alive',
        spec: { restartPolicy: 'Never' },
        containers: [{ state: 'exited', exitCode: 137, oomKilled: true, startedAtMs: 0 }],
        record: { main: {} },
      },
      'Failed',
      'terminated OOMKilled',
    ],
    [
      'cannot be created',
      {
        sandbox: 'alive',
        activity: (a) =>
          void a.failures.set('createContainer main', { count: 1, retryAtMs: 0, message: 'no', configuration: false }),
      },
      'Pending',
      'waiting CreateContainerError',
    ],
    [
      'is configured wrongly',
      {
        sandbox: 'alive',
        activity: (a) =>
          void a.failures.set('createContainer main', { count: 1, retryAtMs: 0, message: 'no', configuration: true }),
      },
      'Pending',
      'waiting CreateContainerConfigError',
    ],
  ])('%s: phase and state', (_name, state, phase, expected) => {
    const { waiting, running: runs, terminated } = main(state).state!;
    const kind = waiting ? 'waiting' : runs ? 'running' : 'terminated';
    expect([statusOf(state).phase, `${kind} ${waiting?.reason ?? terminated?.reason ?? ''}`.trim()]).toEqual([
      phase,
      expected.trim(),
    ]);
  });

  test('transition times move only with the status', () => {
    const { pod, observed } = build({ sandbox: 'alive', ...running, activity: probed });
    const first = podStatus({ pod, observed, previous: undefined, nowMs: 1_000, monotonicMs: nowMs });
    const second = podStatus({ pod, observed, previous: first, nowMs: 99_000, monotonicMs: nowMs });
    expect(second).toEqual(first);
    observed.activity.probes.clear();
    const third = podStatus({ pod, observed, previous: second, nowMs: 99_000, monotonicMs: nowMs });
    const ready = (status: typeof first) => status.conditions!.find(({ type }) => type === 'Ready')!;
    expect(ready(third)).toMatchObject({ status: 'False', lastTransitionTime: '1970-01-01T00:01:39Z' });
    expect(ready(third).message).toContain('[main]');
  });
});
