/** Workloads beside Deployments on real nodes: work that ends, services of every node, and names that never run twice. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PodTemplateSpec } from '../../proto/gen/types.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { headless, sleeper } from './manifests.ts';
import { podProcesses } from './processes.ts';

let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
});
afterAll(() => lab?.remove());

function template(app: string, command: string, restartPolicy: 'Always' | 'Never' = 'Always'): PodTemplateSpec {
  const containers = [sleeper({ command: ['sh', '-c', command] })];
  return { metadata: { labels: { app } }, spec: { restartPolicy, terminationGracePeriodSeconds: 0, containers } };
}
const meta = (name: string) => ({ name, namespace: 'default' });
const selector = (app: string) => ({ matchLabels: { app } });

test('an Indexed Job gives each pod its number, and ends', async () => {
  const script = 'echo "$JOB_COMPLETION_INDEX on $(hostname)"';
  await lab.api.apply({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: meta('count'),
    spec: { completions: 3, parallelism: 2, completionMode: 'Indexed', template: template('count', script, 'Never') },
  });
  await lab.check(['wait', '--for=condition=complete', 'job/count', '--timeout=60s']);
  const pods = await lab.api.list('Pod', { selector: 'app=count' });
  const said = await Promise.all(pods.map(({ metadata }) => lab.check(['logs', metadata.name])));
  expect(said.map((line) => line.trim()).sort()).toEqual(['0 on count-0', '1 on count-1', '2 on count-2']);
  await lab.check(['delete', 'job', 'count']);
  await waitFor('its pods are gone', 30_000, async () => (await lab.api.list('Pod', {})).length === 0);
});

test('a DaemonSet is on every node, also on a cordoned one, and drain leaves it', async () => {
  await lab.check(['cordon', 'node-2']);
  await lab.api.apply({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: meta('every'),
    spec: { selector: selector('every'), template: template('every', 'sleep infinity') },
  });
  await lab.check(['rollout', 'status', 'ds/every', '--timeout=60s']);
  const nodes = (await lab.api.readyPods('app=every')).map(({ spec }) => spec.nodeName).sort();
  expect(nodes).toEqual(['node-1', 'node-2', 'node-3']);
  const refused = await lab.ctl(['drain', 'node-2']);
  expect(refused.stderr).toContain('--ignore-daemonsets');
  await lab.check(['drain', 'node-2', '--ignore-daemonsets']);
  expect(await lab.api.readyPods('app=every')).toHaveLength(3);
  await lab.check(['uncordon', 'node-2']);
});

/** When the runtime heard of a pod's only container first and last, by the log of a container that never falls silent. */
async function lifeOf(node: string, uid: string): Promise<{ readonly firstMs: number; readonly lastMs: number }> {
  const folder = (await readdir(join(lab.dataFolder(node), 'logs'))).find((name) => name.endsWith(uid))!;
  const lines = (await readFile(join(lab.dataFolder(node), 'logs', folder, 'main', '0.log'), 'utf8'))
    .trim()
    .split('\n');
  const [firstMs, lastMs] = [lines[0]!, lines.at(-1)!].map((line) => Date.parse(line.split(' ')[0]!));
  return { firstMs: firstMs!, lastMs: lastMs! };
}

test('a StatefulSet keeps its names while a node is cut off, and moves them when they have stopped there or a person says that it is down', async () => {
  await lab.api.apply(headless('db', 'db'));
  await lab.api.apply({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: meta('db'),
    spec: { replicas: 3, serviceName: 'db', selector: selector('db'), template: template('db', 'sleep infinity') },
  });
  await lab.api.apply({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...meta('once'), annotations: { 'gantry.dev/fencing': 'stop-after' } },
    spec: {
      replicas: 3,
      serviceName: 'once',
      podManagementPolicy: 'Parallel',
      selector: selector('once'),
      template: template('once', 'while :; do echo alive; usleep 20000; done'),
    },
  });
  await lab.check(['rollout', 'status', 'sts/db', '--timeout=60s']);
  await lab.check(['rollout', 'status', 'sts/once', '--timeout=60s']);
  const member = async (name: string) =>
    (await lab.api.list('Pod', { selector: 'app=db' })).find(({ metadata }) => metadata.name === name);
  const before = (await member('db-1'))!;
  const node = before.spec.nodeName!;
  const other = (await lab.api.readyPods('app=db')).find(({ spec }) => spec.nodeName !== node)!;
  const resolves = (): Promise<string> =>
    lab.check(['exec', other.metadata.name, '--', 'nslookup', '-type=a', 'db-1.db.default.svc.cluster.local']);
  expect(await resolves()).toContain(before.status!.podIP!);

  const fenced = (await lab.api.readyPods('app=once')).find(({ spec }) => spec.nodeName === node)!;

  await lab.partition(node);
  await waitFor('the node is lost', 20_000, async () => !(await lab.api.isNodeReady(node)));
  const refusal = await lab.ctl(['delete', 'pod', 'db-1', '--force', '--grace-period=0']);
  expect(refusal.stderr).toContain('must not run twice');
  expect((await lab.ctl(['delete', 'node', node])).stderr).toContain(`ctl node out-of-service ${node}`);
  const running = await podProcesses(lab, node);
  expect(running.some(({ podUid }) => podUid === before.metadata.uid)).toBe(true);

  // The one that may stop stops, and only then starts elsewhere; the strict one stays where it was.
  const next = await waitFor('the next pod of the name runs elsewhere', 30_000, async () =>
    (await lab.api.readyPods('app=once')).find(
      ({ metadata, spec }) => metadata.name === fenced.metadata.name && spec.nodeName !== node,
    ),
  );
  const [former, present] = [
    await lifeOf(node, fenced.metadata.uid!),
    await lifeOf(next.spec.nodeName!, next.metadata.uid!),
  ];
  expect(former.lastMs).toBeLessThan(present.firstMs);
  const left = await podProcesses(lab, node);
  expect(left.filter(({ podUid }) => podUid === fenced.metadata.uid)).toEqual([]);
  expect(left.some(({ podUid }) => podUid === before.metadata.uid)).toBe(true);
  expect((await member('db-1'))?.metadata.uid).toBe(before.metadata.uid);
  await lab.heal(node);
  await waitFor('the same pod is ready again', 30_000, async () => {
    const ready = await lab.api.readyPods('app=db');
    return ready.some(({ metadata }) => metadata.uid === before.metadata.uid);
  });

  await lab.kill(node);
  await waitFor('the node is lost', 20_000, async () => !(await lab.api.isNodeReady(node)));
  expect((await member('db-1'))?.metadata.uid).toBe(before.metadata.uid);
  await lab.check(['node', 'out-of-service', node]);
  await waitFor('all three are ready, elsewhere', 30_000, async () => {
    const ready = await lab.api.readyPods('app=db');
    return ready.length === 3 && ready.every(({ spec }) => spec.nodeName !== node);
  });
  await lab.heal(node);
  await waitFor('the node is back', 30_000, () => lab.api.isNodeReady(node));
  await waitFor('it runs nothing of what moved', 30_000, async () =>
    (await podProcesses(lab, node)).every(({ podUid }) => podUid !== before.metadata.uid),
  );
  await lab.check(['node', 'in-service', node]);
  await lab.check(['rollout', 'status', 'ds/every', '--timeout=60s']);
});
