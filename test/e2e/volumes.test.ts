/** Volumes that outlive pods: data comes back on its node, and goes with its claim. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { headless, sleeper } from './manifests.ts';

let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
});
afterAll(() => lab?.remove());

const meta = (name: string) => ({ name, namespace: 'default' });

test('a pod of a StatefulSet comes back on its node with its data; the data goes with the claim', async () => {
  const labels = { app: 'db' };
  const containers = [
    sleeper({
      command: ['sh', '-c', 'echo "$(hostname)" >> /data/log; sleep infinity'],
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
    }),
  ];
  await lab.api.apply(headless('db', 'db'));
  await lab.api.apply({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: meta('db'),
    spec: {
      replicas: 2,
      serviceName: 'db',
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers } },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
        },
      ],
    },
  });
  await lab.check(['rollout', 'status', 'sts/db', '--timeout=60s']);
  const pod = await lab.json(['get', 'pod', 'db-1']);
  const node: string = pod.spec.nodeName;
  const claim = await lab.json(['get', 'pvc', 'data-db-1']);
  expect(claim.status.phase).toBe('Bound');
  const directory = join(lab.dataFolder(node), 'volumes', claim.spec.volumeName);
  expect(existsSync(directory)).toBe(true);

  await lab.check(['delete', 'pod', 'db-1']);
  await lab.check(['rollout', 'status', 'sts/db', '--timeout=60s']);
  expect((await lab.json(['get', 'pod', 'db-1'])).spec.nodeName).toBe(node);
  expect(await lab.check(['exec', 'db-1', '--', 'cat', '/data/log'])).toBe('db-1\ndb-1\n');

  await lab.check(['cordon', node]);
  await lab.check(['delete', 'pod', 'db-1']);
  await waitFor('it says why it waits', 20_000, async () => {
    const { stdout } = await lab.ctl(['explain-pending', 'db-1']);
    return stdout.includes('1 cordoned') && stdout.includes('1 node(s) had volume node affinity conflict');
  });
  await lab.check(['uncordon', node]);
  await lab.check(['rollout', 'status', 'sts/db', '--timeout=60s']);
  expect((await lab.json(['get', 'pod', 'db-1'])).spec.nodeName).toBe(node);

  await lab.check(['delete', 'sts', 'db']);
  await waitFor('its pods are gone', 30_000, async () => (await lab.api.list('Pod', {})).length === 0);
  expect((await lab.json(['get', 'pvc'])).items).toHaveLength(2);
  await lab.check(['delete', 'pvc', '--all']);
  await waitFor('the volumes are gone', 20_000, async () => (await lab.json(['get', 'pv'])).items.length === 0);
  expect(existsSync(directory)).toBe(false);
}, 180_000);
