/** Deletions that do not end, and what ctl says they wait for; with the real API and controllers. */
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ConfigMap } from '../../../proto/gen/types.ts';
import { type Cluster, deployment } from '../control-plane/controllers/cluster.ts';
import { type LiveCli, loadCommands, startLive } from './live.ts';

let cluster: Cluster;
let run: LiveCli['run'];

beforeAll(() => loadCommands('delete wait describe patch get'));
beforeEach(async () => {
  ({ cluster, run } = await startLive(1));
});
afterEach(() => cluster.stop());

it('in the foreground: for the pod of a lost node, wherever it is asked', async () => {
  await cluster.create(deployment('web', { replicas: 1 }));
  await cluster.until(() => cluster.pods()[0]?.status?.phase === 'Running', 'the pod');
  cluster.stoppedAgents.add('node-1');
  await cluster.setNode('node-1', 'Unknown');
  const name = cluster.pods()[0]!.metadata.name;
  const why = `waits for Pod default/${name} on node node-1, which is NotReady; it goes when the node is back`;
  const first = await run('delete deploy web --cascade=foreground --timeout=5s');
  expect(first.out).toBe('deployment.apps "web" deleted\n');
  expect(first.err).toContain('error: timed out waiting for the condition on deployments/web\n');
  expect(first.err).toContain(`deployments/web ${why}`);
  expect(first.err).toMatch(
    /\nDeletion was asked for and goes on; to wait for its end: ctl wait --for=delete deployments\/web\n$/,
  );
  expect(first.code).toBe(1);
  expect((await run('wait --for=delete deploy/web --timeout=2s')).err).toContain(`deployments/web ${why}`);
  expect((await run('describe deploy web')).out).toMatch(new RegExp(`\nDeletion: +${why}`));
  cluster.stoppedAgents.clear();
  await cluster.setNode('node-1', 'True');
  expect((await run('wait --for=delete deploy/web --timeout=30s')).code).toBe(0);
  expect(cluster.pods()).toEqual([]);
});

it('for a pod that takes its time: asked for at once, and an error when the time is up, as kubectl has it', async () => {
  await cluster.create(deployment('web', { replicas: 1 }));
  await cluster.until(() => cluster.pods()[0]?.status?.phase === 'Running', 'the pod');
  cluster.stoppedAgents.add('node-1');
  const name = cluster.pods()[0]!.metadata.name;
  expect(await run(`delete pod ${name} --timeout=2s`)).toEqual({
    out: `pod "${name}" deleted\n`,
    err:
      `error: timed out waiting for the condition on pods/${name}\n` +
      `pods/${name} waits for Pod default/${name} on node node-1, which is stopping it\n` +
      `Deletion was asked for and goes on; to wait for its end: ctl wait --for=delete pods/${name}\n`,
    code: 1,
  });
  cluster.stoppedAgents.clear();
});

it('for a finalizer, until that is taken away', async () => {
  const held: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'held', namespace: 'default', finalizers: ['example.com/hold'] },
  };
  await cluster.create(held);
  const { err, code } = await run('delete cm held --timeout=1s');
  expect(err).toContain(
    'configmaps/held waits for finalizer example.com/hold of ConfigMap default/held, which whoever',
  );
  expect(code).toBe(1);
  await run('patch cm held -p {"metadata":{"finalizers":null}}');
  expect((await run('get cm held')).err).toContain('not found');
});

it('another --cascade takes the place of the first', async () => {
  await cluster.create(deployment('web', { replicas: 1 }));
  await cluster.until(() => cluster.pods()[0]?.status?.phase === 'Running', 'the pod');
  cluster.stoppedAgents.add('node-1');
  await run('delete deploy web --cascade=foreground --wait=false');
  await cluster.until(() => cluster.pods()[0]?.metadata.deletionTimestamp !== undefined, 'the marking');
  expect((await run('delete deploy web --cascade=background --timeout=5s')).code).toBe(0);
  expect(cluster.pods()).toHaveLength(1); // is left to the collector, and to its agent
});
