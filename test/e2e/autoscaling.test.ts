/** A HorizontalPodAutoscaler and ctl top over what real processes use. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { sleeper } from './manifests.ts';

let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ nodes: 1 });
});
afterAll(() => lab?.remove());

const replicas = async (): Promise<number> => (await lab.json(['get', 'deploy', 'busy'])).spec.replicas;

test('a busy workload grows, an idle one shrinks, and top shows why', async () => {
  const labels = { app: 'busy' };
  const command = ['sh', '-c', 'touch /tmp/busy; while [ -e /tmp/busy ]; do :; done; sleep infinity'];
  const resources = { requests: { cpu: '50m' }, limits: { cpu: '200m', memory: '32Mi' } };
  await lab.api.apply({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'busy', namespace: 'default' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: 0, containers: [sleeper({ command, resources })] },
      },
    },
  });
  await lab.api.apply({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'busy', namespace: 'default' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'busy' },
      maxReplicas: 2,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 30 } } },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
    },
  });
  await waitFor('a second replica is wanted', 60_000, async () => (await replicas()) === 2);
  const { status } = await lab.json(['get', 'hpa', 'busy']);
  expect(status.currentMetrics[0].resource.current.averageUtilization).toBeGreaterThan(30);
  expect(await lab.check(['describe', 'hpa', 'busy'])).toMatch(/SuccessfulRescale .*New size: 2; reason: cpu resource/);

  const [first] = await lab.api.readyPods('app=busy');
  const [, used = '', memory = ''] = (await lab.check(['top', 'pod', first!.metadata.name, '--no-headers'])).split(
    / +/,
  );
  expect(Number.parseInt(used, 10)).toBeGreaterThan(15);
  expect(memory.trim()).toMatch(/^\d+Mi$/);
  expect(await lab.check(['top', 'nodes'])).toMatch(/^node-1 +\d+m +\d+% +\d+Mi +\d+%$/m);

  await waitFor('both are ready', 30_000, async () => (await lab.api.readyPods('app=busy')).length === 2);
  for (const { metadata } of await lab.api.readyPods('app=busy')) {
    await lab.check(['exec', metadata.name, '--', 'rm', '/tmp/busy']);
  }
  await waitFor('one replica is enough', 60_000, async () => (await replicas()) === 1);
}, 180_000);
