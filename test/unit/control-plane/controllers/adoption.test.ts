/** What was left behind with --cascade=orphan, and who takes it up again. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controllerOf, isDeleting } from '../../../../lib/model/object.ts';
import { isPodReady } from '../../../../lib/model/pods.ts';
import type { DaemonSet, Deployment, KubeObject, Pod, ReplicaSet, StatefulSet } from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster } from './cluster.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster();
});
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

type Workload = DaemonSet | Deployment | ReplicaSet | StatefulSet;

function workload(kind: Workload['kind'], name = 'web', app = 'web'): Workload {
  const { spec } = deployment(app, { replicas: 3 });
  const { selector, template } = spec;
  const head = { apiVersion: 'apps/v1', metadata: { name, namespace: 'default' } } as const;
  if (kind === 'DaemonSet') return { ...head, kind, spec: { selector, template } };
  return { ...head, kind, spec: { selector, template, replicas: 3 } } as Workload;
}
const ready = (): Pod[] => cluster.pods().filter((pod) => isPodReady(pod) && !isDeleting(pod));
const uids = (objects: readonly KubeObject[]): string[] => objects.map(({ metadata }) => metadata.uid!).sort();

async function orphan(kind: Workload['kind'], name: string): Promise<void> {
  await cluster.edit(kind, name, (object) => ({
    ...object,
    metadata: { ...object.metadata, finalizers: ['orphan'] },
  }));
  await cluster.remove(kind, name);
  await cluster.until(() => cluster.state.get(kind, 'default', name) === undefined, 'its end');
}

describe.each(['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet'] as const)('a %s of the same name', (kind) => {
  it('takes up what the last one left behind, and makes nothing anew', async () => {
    await cluster.create(workload(kind));
    await cluster.until(() => ready().length === 3, 'three pods', 120_000);
    await cluster.clock.advance(5_000);
    const before = uids(cluster.pods());
    const kept = (): KubeObject[] => [...cluster.state.list('ReplicaSet'), ...cluster.state.list('ControllerRevision')];
    const revisions = uids(kept().filter((one) => one.kind !== kind));
    await orphan(kind, 'web');
    await cluster.clock.advance(20_000);
    expect(uids(cluster.pods())).toEqual(before);
    await cluster.create(workload(kind));
    await cluster.clock.advance(30_000);
    expect(uids(cluster.pods())).toEqual(before);
    const owner = cluster.state.get(kind, 'default', 'web')!;
    const own = kind === 'Deployment' ? cluster.state.list('ReplicaSet') : cluster.pods();
    expect(own.every((one) => controllerOf(one)?.uid === owner.metadata.uid)).toBe(true);
    expect(uids(kept().filter((one) => one.kind !== kind))).toEqual(revisions);
    await cluster.remove(kind, 'web');
    await cluster.until(() => cluster.pods().length === 0, 'they go with it');
  });
});

it('another name takes nothing, though its selector finds it', async () => {
  await cluster.create(workload('ReplicaSet', 'first'));
  await cluster.until(() => ready().length === 3, 'three pods');
  const before = uids(cluster.pods());
  await orphan('ReplicaSet', 'first');
  await cluster.create(workload('ReplicaSet', 'second'));
  await cluster.until(() => ready().length === 6, 'three of its own');
  await cluster.remove('ReplicaSet', 'second');
  await cluster.until(() => cluster.pods().length === 3, 'which go with it');
  expect(uids(cluster.pods())).toEqual(before);
});

it('nor does one whose selector does not find it', async () => {
  await cluster.create(workload('ReplicaSet'));
  await cluster.until(() => ready().length === 3, 'three pods');
  await orphan('ReplicaSet', 'web');
  await cluster.create(workload('ReplicaSet', 'web', 'other'));
  await cluster.until(() => ready().length === 6, 'three of its own');
});

it('a pod that is let go comes home when its labels match again', async () => {
  await cluster.create(workload('ReplicaSet'));
  await cluster.until(() => ready().length === 3, 'three pods');
  const [pod] = ready();
  const label = (app: string) =>
    cluster.edit('Pod', pod!.metadata.name, (object) => ({
      ...object,
      metadata: { ...object.metadata, labels: { app } },
    }));
  await label('debug');
  await cluster.until(() => ready().length === 4, 'another in its place');
  await label('web');
  await cluster.until(() => ready().length === 3, 'one too many');
});

describe('a StatefulSet, whose pods must not run twice', () => {
  beforeEach(async () => {
    await cluster.create(workload('StatefulSet'));
    await cluster.until(() => ready().length === 3, 'three pods', 120_000);
    await orphan('StatefulSet', 'web');
  });
  const nodeOf = (name: string): string =>
    cluster.pods().find(({ metadata }) => metadata.name === name)!.spec.nodeName!;
  const owned = (): string[] =>
    cluster
      .pods()
      .filter((pod) => controllerOf(pod) !== undefined)
      .map(({ metadata }) => metadata.name)
      .sort();

  it('rewrites the nodes of those it takes up: whoever deletes one of them meanwhile loses', async () => {
    const revisions = (): (string | undefined)[] =>
      cluster.state.list('Node').map(({ metadata }) => metadata.resourceVersion);
    const before = revisions();
    await cluster.create(workload('StatefulSet'));
    await cluster.until(() => owned().length === 3, 'the adoption');
    expect(revisions().some((revision) => before.includes(revision))).toBe(false);
  });

  it('takes none from a node that is on its way out', async () => {
    await cluster.edit('Node', nodeOf('web-1'), (node) => ({
      ...node,
      metadata: { ...node.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/hold'] },
    }));
    await cluster.create(workload('StatefulSet'));
    await cluster.clock.advance(5_000);
    expect(owned()).toEqual(['web-0', 'web-2']);
  });
});
