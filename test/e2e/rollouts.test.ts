/** Rollouts of configuration on real nodes: forward by themselves, back by themselves, and back by word. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findCondition } from '../../lib/model/conditions.ts';
import type { Deployment, Pod } from '../../proto/gen/types.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { deployment, sleeper } from './manifests.ts';

let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ nodes: 1 });
});
afterAll(() => lab?.remove());

const metadata = (name: string) => ({ name, namespace: 'default' });
const settings = (mode: string) =>
  lab.api.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata('settings'), data: { mode } });
const credentials = (token: string) =>
  lab.api.apply({ apiVersion: 'v1', kind: 'Secret', metadata: metadata('credentials'), stringData: { token } });

/** Ends at once with a mode that it does not know, as programs do. */
function web(): Deployment {
  const script = 'case $(cat /etc/app/mode) in bad) exit 3;; esac; touch /tmp/ready; sleep infinity';
  const container = sleeper({
    command: ['sh', '-c', script],
    env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'credentials', key: 'token' } } }],
    volumeMounts: [{ name: 'settings', mountPath: '/etc/app' }],
    readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 },
  });
  const volumes = [{ name: 'settings', configMap: { name: 'settings' } }];
  const object = deployment('web', 2, { containers: [container], volumes }, { progressDeadlineSeconds: 8 });
  const annotations = { 'gantry.dev/rollout-on-config-change': 'true', 'gantry.dev/auto-rollback': 'true' };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

async function whatTheyRead(): Promise<string[]> {
  const pods = await lab.api.readyPods('app=web');
  return Promise.all(pods.map((pod: Pod) => lab.api.shell(pod.metadata.name, 'echo $(cat /etc/app/mode) $TOKEN')));
}

async function allRead(words: string): Promise<void> {
  await waitFor(`both read ${JSON.stringify(words)}`, 30_000, async () => {
    const { status } = await lab.api.get('Deployment', 'web');
    if (status?.replicas !== 2 || status.availableReplicas !== 2) return false;
    return (await whatTheyRead()).join('|') === `${words}|${words}`;
  });
}

test('content is rolled out, goes back by itself when it fails, and by ctl rollout undo', async () => {
  await settings('one');
  await credentials('a');
  await lab.api.apply(web());
  await lab.check(['rollout', 'status', 'deploy/web', '--timeout=60s']);
  expect(await whatTheyRead()).toEqual(['one a', 'one a']);
  const { spec } = await lab.api.get('Deployment', 'web');

  await settings('two');
  await allRead('two a');
  await credentials('b');
  await allRead('two b');

  await settings('bad');
  const failed = await waitFor('the deadline is missed', 30_000, async () => {
    const result = await lab.ctl(['rollout', 'status', 'deploy/web', '--timeout=20s']);
    return result.exitCode === 1 ? result.stderr : undefined;
  });
  expect(failed).toMatch(/exceeded its progress deadline: .*web-\S+: .*last exit code 3/);
  expect(failed).toMatch(/rolled back from revision 4 to revision 3/);
  await waitFor('it is back', 30_000, async () => {
    const { status } = await lab.api.get('Deployment', 'web');
    return findCondition(status?.conditions, 'RolledBack')?.status === 'True';
  });
  expect(await whatTheyRead()).toEqual(['two b', 'two b']);
  expect((await lab.api.events('web')).some((line) => line.startsWith('DeploymentRollback: '))).toBe(true);

  await lab.check(['rollout', 'undo', 'deploy/web', '--to-revision=1']);
  await allRead('one a');
  await lab.check(['rollout', 'status', 'deploy/web', '--timeout=20s']);
  expect((await lab.api.get('Deployment', 'web')).spec).toEqual(spec);
  expect((await lab.api.get('ConfigMap', 'settings')).data).toEqual({ mode: 'bad' });
});

test('deletion in the foreground returns when nothing of it is left', async () => {
  await lab.check(['delete', 'deploy', 'web', '--cascade=foreground', '--timeout=30s']);
  expect(await lab.api.list('Pod')).toEqual([]);
  expect(await lab.api.list('ReplicaSet')).toEqual([]);
  await waitFor('its copies are gone', 10_000, async () => {
    const left = [...(await lab.api.list('ConfigMap')), ...(await lab.api.list('Secret'))];
    return left.map((one) => one.metadata.name).join() === 'settings,credentials';
  });
});
