/** What a pod's spec promises, on real nodes: configuration, order, restarts, probes, limits and users. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import type { ContainerState, Pod } from '../../proto/gen/types.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { deployment, on, pod, service, shellPod, sleeper } from './manifests.ts';
import { containerProcess } from './processes.ts';

let lab: Lab;

const stateOf = async (name: string): Promise<ContainerState> =>
  (await lab.api.get('Pod', name)).status?.containerStatuses?.[0]?.state ?? {};
const restartsOf = ({ status }: Pod): number => status?.containerStatuses?.[0]?.restartCount ?? 0;

function running(name: string): Promise<Pod> {
  return waitFor(`${name} is ready`, 30_000, async () => {
    const found = await lab.api.readyPods(`app=${name}`);
    return found[0];
  });
}

const configuration = `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { color: green, "app.conf": "line one\\nline two\\n" }
---
apiVersion: v1
kind: Secret
metadata: { name: keys }
stringData: { password: "s3cret word" }
---
apiVersion: v1
kind: Pod
metadata: { name: configured, labels: { app: configured, tier: front } }
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
    - name: first
      image: busybox:1
      command: [sh, -c, "echo first >>/work/order; test ! -e /work/second"]
      volumeMounts: [{ name: work, mountPath: /work }]
    - name: second
      image: busybox:1
      command: [sh, -c, "echo second >>/work/order"]
      volumeMounts: [{ name: work, mountPath: /work }]
  containers:
    - name: main
      image: busybox:1
      command: [sh, -c, 'echo "$0 $1" >>/work/order; exec sleep infinity']
      args: [main, "$(COLOR)"]
      workingDir: /work
      env:
        - { name: PLAIN, value: "a b" }
        - { name: COLOR, valueFrom: { configMapKeyRef: { name: settings, key: color } } }
        - { name: PASSWORD, valueFrom: { secretKeyRef: { name: keys, key: password } } }
        - { name: MY_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        - { name: MY_TIER, valueFrom: { fieldRef: { fieldPath: "metadata.labels['tier']" } } }
        - { name: MY_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
        - { name: MY_NODE, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
      volumeMounts:
        - { name: work, mountPath: /work }
        - { name: settings, mountPath: /etc/settings, readOnly: true }
        - { name: keys, mountPath: /etc/keys, readOnly: true }
    - name: beside
      image: busybox:1
      command: [sleep, infinity]
      envFrom: [{ configMapRef: { name: settings }, prefix: S_ }]
      volumeMounts: [{ name: work, mountPath: /shared }]
  volumes:
    - { name: work, emptyDir: {} }
    - { name: settings, configMap: { name: settings } }
    - { name: keys, secret: { secretName: keys, defaultMode: 0400 } }
`;

const gate = { exec: { command: ['test', '-e', '/tmp/open'] }, periodSeconds: 1, failureThreshold: 1 };
const pulse = { exec: { command: ['test', '-e', '/tmp/well'] }, periodSeconds: 1, failureThreshold: 2 };

beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
  await lab.apply(configuration);
  const hungry = sleeper({
    command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=100M', 'count=1'],
    resources: { limits: { memory: '32Mi' } },
  });
  const limited = sleeper({ resources: { limits: { memory: '48Mi', cpu: '200m' } } });
  const guarded = sleeper({ command: ['sh', '-c', 'touch /tmp/well; exec sleep infinity'], livenessProbe: pulse });
  await Promise.all(
    [
      shellPod('crasher', 'echo "attempt at $(date +%s)"; exit 3'),
      shellPod('once', 'exit 4', { restartPolicy: 'Never' }),
      shellPod('done', 'echo done', { restartPolicy: 'OnFailure' }),
      pod('hungry', { containers: [hungry], restartPolicy: 'Never' }),
      pod('limited', { containers: [limited] }),
      pod('guarded', { containers: [guarded] }),
      deployment('gated', 2, { containers: [sleeper({ readinessProbe: gate })] }),
      service('gated', 'gated'),
      shellPod('polite', 'trap "echo asked; sleep 1; echo gone; exit 0" TERM; while :; do sleep 0.1; done', {
        terminationGracePeriodSeconds: 20,
      }),
      shellPod('deaf', 'trap "" TERM; while :; do sleep 0.1; done', { terminationGracePeriodSeconds: 2 }),
    ].map((object) => lab.api.apply(object)),
  );
});
afterAll(() => lab?.remove());

describe('configuration', () => {
  test('ConfigMaps, Secrets and fields of the pod come as variables', async () => {
    const { status, spec } = await running('configured');
    const variables = await lab.api.shell('configured', 'env', 'main');
    expect(variables.split('\n')).toEqual(
      expect.arrayContaining([
        'PLAIN=a b',
        'COLOR=green',
        'PASSWORD=s3cret word',
        'MY_NAME=configured',
        'MY_TIER=front',
        `MY_IP=${status?.podIP}`,
        `MY_NODE=${spec.nodeName}`,
      ]),
    );
    expect(await lab.api.shell('configured', 'env', 'beside')).toContain('S_color=green');
  });

  test('ConfigMaps and Secrets come as files; a Secret is on tmpfs and keeps its mode', async () => {
    expect(await lab.api.shell('configured', 'cat /etc/settings/app.conf', 'main')).toBe('line one\nline two');
    expect(await lab.api.shell('configured', 'cat /etc/keys/password', 'main')).toBe('s3cret word');
    expect(await lab.api.shell('configured', 'stat -Lc %a /etc/keys/password', 'main')).toBe('400');
    expect(await lab.api.shell('configured', 'awk \'$2 == "/etc/keys" { print $3 }\' /proc/mounts', 'main')).toBe(
      'tmpfs',
    );
    expect((await lab.api.exec('configured', ['touch', '/etc/settings/new'], 'main')).exitCode).not.toBe(0);
  });

  test('init containers run one after the other before the rest; volumes are shared', async () => {
    expect(await lab.api.shell('configured', 'cat order', 'main')).toBe('first\nsecond\nmain green');
    expect(await lab.api.shell('configured', 'cat /shared/order', 'beside')).toContain('main');
    const described = await lab.check(['describe', 'pod', 'configured']);
    expect(described).toMatch(/Init Containers:[\s\S]*first:[\s\S]*Reason: +Completed/);
  });

  test('a changed ConfigMap reaches the files of running pods', async () => {
    await lab.apply(configuration.split('---')[0]!.replace('green', 'red'));
    await waitFor('the file has changed', 30_000, async () => {
      return (await lab.api.shell('configured', 'cat /etc/settings/color', 'main')) === 'red';
    });
  });

  test('containers of a pod share its address, and logs are kept apart', async () => {
    const fromBeside = await lab.ctl(['exec', 'configured', '-c', 'beside', '--', 'hostname', '-i']);
    expect(fromBeside.stdout.trim()).toBe((await lab.api.get('Pod', 'configured')).status?.podIP);
    const unknown = await lab.ctl(['logs', 'configured', '-c', 'nobody']);
    expect([unknown.exitCode, unknown.stderr.includes('nobody')]).toEqual([1, true]);
  });
});

describe('restarts', () => {
  test('a container that keeps failing is restarted, later each time: CrashLoopBackOff', async () => {
    const crashed = await waitFor('it waits', 30_000, async () => {
      const found = await lab.api.get('Pod', 'crasher');
      const { waiting } = found.status?.containerStatuses?.[0]?.state ?? {};
      return waiting?.reason === 'CrashLoopBackOff' && restartsOf(found) >= 1 ? found : undefined;
    });
    expect(crashed.status?.phase).toBe('Running');
    expect(crashed.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).toBe(3);
    expect(await lab.check(['get', 'pod', 'crasher'])).toMatch(/crasher +0\/1 +CrashLoopBackOff +[1-9]/);
    expect(await lab.check(['describe', 'pod', 'crasher'])).toMatch(/BackOff .*Back-off restarting failed container/);
    const [before, now] = [await lab.check(['logs', 'crasher', '-p']), await lab.check(['logs', 'crasher'])];
    expect(before).toMatch(/^attempt at \d+\n$/);
    expect(now).toMatch(/^attempt at \d+\n$/);
  });

  test('restartPolicy Never leaves it Failed, OnFailure lets a success rest', async () => {
    await waitFor('both have ended', 30_000, async () => {
      const [once, done] = await Promise.all([lab.api.get('Pod', 'once'), lab.api.get('Pod', 'done')]);
      return once.status?.phase === 'Failed' && done.status?.phase === 'Succeeded';
    });
    expect((await stateOf('once')).terminated).toMatchObject({ exitCode: 4, reason: 'Error' });
    expect((await stateOf('done')).terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
    for (const name of ['once', 'done']) expect(restartsOf(await lab.api.get('Pod', name))).toBe(0);
    expect(await lab.check(['logs', 'done'])).toBe('done\n');
  });

  test('a failing liveness probe restarts the container, in place', async () => {
    const { metadata, status } = await running('guarded');
    const old = await containerProcess(lab, metadata.uid!);
    await lab.api.shell('guarded', 'rm /tmp/well');
    const after = await waitFor('it has been restarted', 30_000, async () => {
      const [found] = await lab.api.readyPods('app=guarded');
      return found && restartsOf(found) === 1 ? found : undefined;
    });
    expect(after.metadata.uid).toBe(metadata.uid);
    expect(after.status?.podIP).toBe(status?.podIP);
    expect((await containerProcess(lab, metadata.uid!)).pid).not.toBe(old.pid);
    // Events are written after the fact.
    await waitFor('events tell it', 10_000, async () => {
      const events = await lab.api.events('guarded');
      return ['Unhealthy: Liveness probe failed', 'Killing: '].every((start) =>
        events.some((event) => event.startsWith(start)),
      );
    });
  });
});

describe('readiness', () => {
  test('a pod serves only while its probe says so', async () => {
    const pods = await waitFor('both run', 30_000, async () => {
      const found = await lab.api.list('Pod', { selector: 'app=gated' });
      return found.length === 2 && found.every(({ status }) => status?.phase === 'Running') ? found : undefined;
    });
    expect(await lab.api.readyPods('app=gated')).toEqual([]);
    expect(await lab.api.endpoints('gated')).toEqual([]);
    expect((await lab.api.get('Deployment', 'gated')).status?.availableReplicas ?? 0).toBe(0);
    const [one] = pods;
    await lab.api.shell(one!.metadata.name, 'touch /tmp/open');
    await waitFor('it is an endpoint', 15_000, async () => {
      return (await lab.api.endpoints('gated')).join() === one!.status?.podIP;
    });
    await lab.api.shell(one!.metadata.name, 'rm /tmp/open');
    await waitFor('it is none any more', 15_000, async () => (await lab.api.endpoints('gated')).length === 0);
    expect(restartsOf(await lab.api.get('Pod', one!.metadata.name))).toBe(0);
  });
});

describe('limits', () => {
  test('memory over the limit is reported as OOMKilled, and ends that pod alone', async () => {
    const { terminated } = await waitFor('it has ended', 30_000, async () => {
      const state = await stateOf('hungry');
      return state.terminated && state;
    });
    expect(terminated).toMatchObject({ reason: 'OOMKilled', exitCode: 137 });
    expect(await lab.check(['get', 'pod', 'hungry'])).toContain('OOMKilled');
    expect(restartsOf(await running('limited'))).toBe(0);
  });

  test("memory, cpu and pids are limits of the container's cgroup", async () => {
    await running('limited');
    const script = `cd /sys/fs/cgroup
      cat memory/memory.limit_in_bytes memory.max 2>/dev/null
      cat cpu.max 2>/dev/null || cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us | xargs
      cat pids/pids.max pids.max 2>/dev/null`;
    const [memory, cpu, pids] = (await lab.api.shell('limited', `${script} || true`)).split('\n');
    expect(Number(memory)).toBe(48 * 1024 * 1024);
    const [quota, period] = cpu!.split(' ').map(Number);
    expect(quota! / period!).toBeCloseTo(0.2);
    expect(Number(pids)).toBeGreaterThan(0);
    expect(Number(pids)).toBeLessThan(100_000);
  });
});

describe('isolation', () => {
  test('root in the pod is nobody on the host, and each pod is another nobody', async () => {
    const [limited, guarded] = [await running('limited'), await running('guarded')];
    const uids: number[] = [];
    for (const { metadata } of [limited, guarded]) {
      expect(await lab.api.shell(metadata.name, 'id -u')).toBe('0');
      const { pid } = await containerProcess(lab, metadata.uid!);
      const [real] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!.slice(1);
      uids.push(Number(real));
    }
    expect(Math.min(...uids)).toBeGreaterThan(65_535);
    expect(Math.abs(uids[0]! - uids[1]!)).toBeGreaterThanOrEqual(65_536);
  });

  test('a pod sees its own processes, name and files only', async () => {
    await running('limited');
    expect(await lab.api.shell('limited', 'hostname')).toBe('limited');
    expect(await lab.api.shell('limited', 'cat /proc/1/comm')).toBe('sleep');
    const processes = await lab.api.shell('limited', 'ls -d /proc/[0-9]* | wc -l');
    expect(Number(processes)).toBeLessThan(8);
    for (const forbidden of ['mount -t tmpfs none /mnt', 'echo 1 >/proc/sys/kernel/sysrq', 'ls /var/lib/gantry']) {
      expect((await lab.api.exec('limited', ['sh', '-c', forbidden])).exitCode, forbidden).not.toBe(0);
    }
  });
});

describe('stopping', () => {
  test('SIGTERM, then time to end; its last words are still followed', async () => {
    await running('polite');
    const following = lab.ctl(['logs', '-f', 'polite']);
    await lab.check(['delete', 'pod', 'polite']);
    const { stdout } = await following;
    expect(stdout).toBe('asked\ngone\n');
    expect(await lab.api.find('Pod', 'polite')).toBeUndefined();
  });

  test('SIGKILL when the time is up', async () => {
    const { metadata } = await running('deaf');
    const { pid } = await containerProcess(lab, metadata.uid!);
    const startedMs = systemClock.monotonicMs();
    await lab.check(['delete', 'pod', 'deaf', '--timeout=20s']);
    expect(systemClock.monotonicMs() - startedMs).toBeGreaterThan(1_900);
    expect((await lab.processes('container')).map((process) => process.pid)).not.toContain(pid);
    expect(await lab.api.find('Pod', 'deaf')).toBeUndefined();
  });

  test('logs: the last lines, and of a workload', async () => {
    await lab.api.apply(
      deployment('counter', 1, { containers: [sleeper({ command: ['seq', '1', '50'] })], ...on('node-1') }),
    );
    const [counter] = await waitFor('it has counted', 30_000, async () => {
      const found = await lab.api.list('Pod', { selector: 'app=counter' });
      return found[0] && restartsOf(found[0]) >= 1 && found;
    });
    expect(counter!.spec.nodeName).toBe('node-1');
    expect(await lab.check(['logs', '--tail=2', 'deploy/counter'])).toBe('49\n50\n');
    expect((await lab.check(['logs', '-l', 'app=counter'])).trim().split('\n')).toHaveLength(10);
    expect(await lab.check(['logs', '--tail=1', '--timestamps', counter!.metadata.name])).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00) 50\n$/,
    );
  });
});
