import { describe, expect, it } from 'vitest';
import { inDeletionOrder } from '../../../../control-plane/controllers/replica-set/deletion-order.ts';
import { reconcileReplicaSet } from '../../../../control-plane/controllers/replica-set/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import type { Pod, ReplicaSet } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const replicaSet: ReplicaSet = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name: 'web', namespace: 'default', uid: 'uid-rs', resourceVersion: '1', generation: 1 },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'echo' }] } },
  },
};

interface Facts {
  readonly node?: string;
  readonly phase?: 'Pending' | 'Running' | 'Failed';
  readonly ready?: boolean;
  readonly readySince?: string;
  readonly created?: string;
  readonly deleting?: boolean;
  readonly labels?: Record<string, string>;
  readonly cost?: string;
  readonly restarts?: number;
}

function pod(name: string, facts: Facts = {}): Pod {
  const {
    node = 'node-1',
    phase = 'Running',
    ready = true,
    deleting,
    labels = { app: 'web' },
    cost,
    restarts = 0,
  } = facts;
  const { readySince = '2026-01-01T00:00:05Z', created = '2026-01-01T00:00:00Z' } = facts;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      labels,
      creationTimestamp: created,
      ...(cost !== undefined && { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
      ...(deleting && { deletionTimestamp: created }),
      ownerReferences: [controllerReference(replicaSet)],
    },
    spec: { containers: [{ name: 'main', image: 'echo' }], ...(node && { nodeName: node }) },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: readySince }],
      containerStatuses: [{ name: 'main', restartCount: restarts }],
    },
  };
}

const names = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name);

describe('the order in which pods are given up', () => {
  it.each<[string, Facts]>([
    ['is not on a node', { node: '' }],
    ['has not started', { phase: 'Pending' }],
    ['is not ready', { ready: false }],
    ['costs less to delete', { cost: '-1' }],
    ['shares its node with another', { node: 'node-2' }],
    ['became ready later', { readySince: '2026-01-01T00:00:09Z' }],
    ['was restarted more often', { restarts: 3 }],
    ['is younger', { created: '2026-01-01T00:00:03Z' }],
  ])('begins with the one that %s', (_name, facts) => {
    const others = [pod('a', { node: 'node-3' }), pod('b', { node: 'node-2' })];
    const last = pod('c', { node: 'node-4', ...facts });
    expect(names(inDeletionOrder([last, ...others]))[0]).toBe('c');
    expect(names(inDeletionOrder([...others, last]))[0]).toBe('c');
  });

  it('leaves the nodes evenly used, however many go', () => {
    const pods = ['node-1', 'node-1', 'node-1', 'node-1', 'node-2', 'node-2', 'node-3'].map((node, index) =>
      pod(`p${index}`, { node }),
    );
    const kept = inDeletionOrder(pods).slice(4);
    expect(kept.map(({ spec }) => spec.nodeName).sort()).toEqual(['node-1', 'node-2', 'node-3']);
  });
});

describe('a ReplicaSet', () => {
  const reconcile = (pods: readonly Pod[], object = replicaSet, mostPerTransaction = 100) => {
    const state = new MutableClusterState();
    state.replace(
      [object, ...pods].map((each) => ({ key: keyOf(each), object: each })),
      1n,
    );
    const { changes, requeueAfterMs } = reconcileReplicaSet(state, object, nowMs, { mostPerTransaction });
    const of = (type: string): string[] =>
      names(changes.filter((c) => c.type === type).map(({ object: o }) => o as Pod));
    return { created: of('create').length, deleted: of('delete'), updated: of('update'), changes, requeueAfterMs };
  };
  const scaled = (replicas: number): ReplicaSet => ({ ...replicaSet, spec: { ...replicaSet.spec, replicas } });

  it('makes what is missing from its template, for itself', () => {
    const { created, changes } = reconcile([pod('a')]);
    expect(created).toBe(2);
    expect(changes[0]?.object).toMatchObject({
      metadata: {
        name: '',
        generateName: 'web-',
        labels: { app: 'web' },
        ownerReferences: [{ uid: 'uid-rs', controller: true }],
      },
      status: { phase: 'Pending' },
    });
  });

  it('replaces pods that are going or have failed', () => {
    expect(reconcile([pod('a'), pod('b', { deleting: true }), pod('c', { phase: 'Failed' })]).created).toBe(2);
  });

  it('makes and deletes only so many at once', () => {
    expect(reconcile([], scaled(1000), 100).created).toBe(100);
    const many = Array.from({ length: 250 }, (_, index) => pod(`p${index}`));
    expect(reconcile(many, scaled(0), 100).deleted).toHaveLength(100);
  });

  it('lets go, and replaces, a pod whose labels no longer match; a stranger is not its own', () => {
    const stranger: Pod = { ...pod('x'), metadata: { ...pod('x').metadata, ownerReferences: [] } };
    const { created, updated, changes } = reconcile([pod('a'), pod('b', { labels: { app: 'debug' } }), stranger]);
    expect(created).toBe(2);
    expect(updated).toContain('b');
    const released = changes.find(({ object }) => object.metadata.name === 'b')?.object;
    expect(released?.metadata.ownerReferences).toEqual([]);
  });

  it('slows down when pod after pod fails', () => {
    const failed = (count: number): Pod[] =>
      Array.from({ length: count }, (_, index) =>
        pod(`f${index}`, { phase: 'Failed', created: '2026-01-01T00:59:59Z' }),
      );
    expect(reconcile(failed(1)).created).toBe(3);
    const second = reconcile(failed(2));
    expect(second.created).toBe(0);
    expect(second.requeueAfterMs).toBe(4000);
    expect(reconcile(failed(5)).requeueAfterMs).toBe(39_000);
    expect(reconcile(failed(8)).deleted).toHaveLength(3);
  });

  it('counts in its status what will be there', () => {
    const { changes } = reconcile([pod('a'), pod('b', { ready: false })]);
    const status = (changes.at(-1)!.object as ReplicaSet).status;
    expect(status).toEqual({
      replicas: 3,
      fullyLabeledReplicas: 3,
      readyReplicas: 1,
      availableReplicas: 1,
      observedGeneration: 1,
    });
  });

  it('does nothing when all is as it should be, or when it is being deleted', () => {
    const pods = [pod('a'), pod('b'), pod('c')];
    const { changes } = reconcile(pods);
    const settled = changes.at(-1)!.object as ReplicaSet;
    expect(reconcile(pods, settled).changes).toEqual([]);
    const going = { ...settled, metadata: { ...settled.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    expect(reconcile([], going).changes).toEqual([]);
  });
});
