/** Workloads beside Deployments, with the real controllers, commits and store, under a virtual clock. */
import { afterEach, describe, expect, it } from 'vitest';
import { isPodReady } from '../../../../lib/model/pods.ts';
import type { DaemonSet, Pod } from '../../../../proto/gen/types.ts';
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts';

let cluster: Cluster;

async function start(options?: ClusterOptions): Promise<void> {
  cluster = await startCluster(options);
}

afterEach(async () => {
  expect(cluster.problems).toEqual([]);
  await cluster.stop();
});

/** Writes end when there is nothing left to do. */
async function expectRest(): Promise<void> {
  const before = cluster.state.revision;
  await cluster.clock.advance(30_000);
  const objects = [...cluster.state.all()].filter(([, { kind }]) => kind !== 'Event');
  const newest = objects.map(([, { metadata }]) => BigInt(metadata.resourceVersion ?? '0'));
  expect(newest.every((revision) => revision <= before)).toBe(true);
}

const podsOn = (name: string): readonly Pod[] => cluster.pods().filter(({ spec }) => spec.nodeName === name);

function daemonSet(image: string): DaemonSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'logs', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'logs' } },
      template: { metadata: { labels: { app: 'logs' } }, spec: { containers: [{ name: 'main', image }] } },
    },
  };
}

describe('a DaemonSet', () => {
  const status = () => cluster.state.get('DaemonSet', 'default', 'logs')?.status;
  const isUp = (count: number) => (): boolean =>
    status()?.desiredNumberScheduled === count &&
    status()?.numberAvailable === count &&
    status()?.updatedNumberScheduled === count &&
    cluster.pods().length === count;

  it('has a pod on every node, also on those that join, and none more', async () => {
    await start({ nodes: 3 });
    await cluster.create(daemonSet('echo:1'));
    await cluster.until(isUp(3), 'three pods');
    const [node] = cluster.state.list('Node');
    const { uid: _uid, resourceVersion: _version, ...metadata } = node!.metadata;
    await cluster.create({ ...node!, metadata: { ...metadata, name: 'node-4' } });
    await cluster.until(isUp(4), 'a pod on the new node');
    for (const name of ['node-1', 'node-2', 'node-3', 'node-4']) expect(podsOn(name)).toHaveLength(1);
    await expectRest();
    await cluster.remove('DaemonSet', 'logs');
    await cluster.until(() => cluster.pods().length === 0, 'nothing left');
    expect(cluster.state.list('ControllerRevision')).toEqual([]);
  });

  it('rolls from node to node, never with two missing', async () => {
    await start({ nodes: 4 });
    await cluster.create(daemonSet('echo:1'));
    await cluster.until(isUp(4), 'four pods');
    let fewest = 4;
    cluster.state.onChange(() => {
      const serving = cluster.pods().filter((pod) => isPodReady(pod) && !pod.metadata.deletionTimestamp);
      fewest = Math.min(fewest, serving.length);
    });
    await cluster.edit('DaemonSet', 'logs', (object) => ({ ...object, spec: daemonSet('echo:2').spec }));
    const isUpdated = (): boolean => cluster.pods().every(({ spec }) => spec.containers[0]!.image === 'echo:2');
    await cluster.until(() => isUpdated() && isUp(4)(), 'the new template everywhere');
    expect(fewest).toBe(3);
    await expectRest();
  });

  it('stays on a lost node, and leaves one that is tainted', async () => {
    await start({ nodes: 2 });
    await cluster.create(daemonSet('echo:1'));
    await cluster.until(isUp(2), 'two pods');
    const uid = podsOn('node-1')[0]!.metadata.uid;
    await cluster.setNode('node-1', 'Unknown');
    await cluster.until(() => status()?.numberReady === 1, 'one to count');
    await cluster.setNode('node-1', 'True');
    await cluster.until(isUp(2), 'both');
    expect(podsOn('node-1')[0]!.metadata.uid).toBe(uid);
    const taints = [{ key: 'gpu', effect: 'NoExecute' as const }];
    await cluster.edit('Node', 'node-1', (node) => ({ ...node, spec: { ...node.spec, taints } }));
    await cluster.until(isUp(1), 'one left');
    expect(podsOn('node-1')).toEqual([]);
  });
});
