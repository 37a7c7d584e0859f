/** Deletions that do not end, and what ctl says they wait for; with the real API and controllers. */
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { plainCodec } from '../../../control-plane/state/object-codec.ts';
import type { ConfigMap } from '../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster } from '../control-plane/controllers/cluster.ts';
import { type Cli, createCli, type Result } from './harness.ts';

let cluster: Cluster;
let cli: Cli;

/** Modules load in real time, while the virtual clock would run away. */
beforeAll(async () => {
  await (await createCli()).run('help delete wait describe patch get');
});
beforeEach(async () => {
  cluster = await startCluster({ nodes: 1 });
  cli = await createCli({ store: cluster.store, codec: plainCodec, clock: cluster.clock });
});
afterEach(() => cluster.stop());

async function run(line: string): Promise<Result> {
  let result: Result | undefined;
  void cli.run(line).then((value) => {
    result = value;
  });
  await cluster.clock.until(() => result !== undefined, 120_000, line);
  return result!;
}

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
  expect(first.code).toBe(1);
  expect((await run('wait --for=delete deploy/web --timeout=2s')).err).toContain(`deployments/web ${why}`);
  expect((await run('describe deploy web')).out).toMatch(new RegExp(`\nDeletion: +${why}`));
  cluster.stoppedAgents.clear();
  await cluster.setNode('node-1', 'True');
  expect((await run('wait --for=delete deploy/web --timeout=30s')).code).toBe(0);
  expect(cluster.pods()).toEqual([]);
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
