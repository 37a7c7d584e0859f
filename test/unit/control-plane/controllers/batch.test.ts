import { describe, expect, it } from 'vitest';
import { batchOf, mostAlike } from '../../../../control-plane/controllers/batch.ts';
import { reconcileReplicaSet } from '../../../../control-plane/controllers/replica-set/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { draftTransaction } from '../../../../control-plane/state/commit.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import type { Change } from '../../../../control-plane/state/snapshot.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Pod, ReplicaSet, Service } from '../../../../proto/gen/types.ts';

const kibibyte = 1024;

function pod(name: string, kilobytes = 1): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1' },
    spec: { containers: [{ name: 'main', image: 'echo', args: ['x'.repeat(kilobytes * kibibyte)] }] },
  };
}

const update = (name: string, kilobytes: number): Change => ({ type: 'update', object: pod(name, kilobytes) });

describe('a batch', () => {
  it('ends at the number of operations, counting the addresses that a removal gives back', () => {
    const changes = Array.from({ length: 5 }, (_, index) => update(`p${index}`, 1));
    expect(batchOf(changes, 5)).toHaveLength(5);
    expect(batchOf(changes, 3)).toHaveLength(3);
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { clusterIP: '10.43.0.7', ports: [{ port: 80, nodePort: 30_080 }] },
    };
    const removals: Change[] = Array.from({ length: 5 }, () => ({ type: 'remove', object: service }));
    expect(batchOf(removals, 7)).toHaveLength(2);
  });

  it('ends at a size that every etcd takes, but never before its first change', () => {
    expect(batchOf([update('a', 400), update('b', 400), update('c', 400)], 100)).toHaveLength(2);
    expect(batchOf([update('a', 2000), update('b', 1)], 100)).toHaveLength(1);
    expect(mostAlike(pod('a', 400), 100)).toBe(2);
    expect(mostAlike(pod('a', 2000), 100)).toBe(1);
    expect(mostAlike(pod('a', 1), 100)).toBe(100);
  });
});

describe('a ReplicaSet', () => {
  const replicaSetOf = (replicas: number, kilobytes: number): ReplicaSet => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web', namespace: 'default', uid: 'rs', resourceVersion: '1', generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: pod('', kilobytes).spec },
    },
  });
  const draft = (replicaSet: ReplicaSet, pods: readonly Pod[], mostPerTransaction: number) => {
    const state = new MutableClusterState();
    state.replace(
      [replicaSet, ...pods].map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    const { changes } = reconcileReplicaSet(state, replicaSet, Date.now(), { mostPerTransaction });
    const parts = { store: undefined as never, codec: plainCodec, clock: systemClock, random: seededRandom(1) };
    return draftTransaction(parts, changes, replicaSet);
  };

  it('makes many large pods in several transactions', () => {
    const { success, created } = draft(replicaSetOf(300, 40), [], 300);
    const bytes = success.reduce((sum, step) => sum + (step.kind === 'put' ? step.value.length : 0), 0);
    expect(created.length).toBeGreaterThan(10);
    expect(bytes).toBeLessThan(1.5 * kibibyte * kibibyte);
  });

  it('keeps within what a foreign etcd takes, however many finished pods it clears away beside', () => {
    const replicaSet = replicaSetOf(100, 1);
    const finished = Array.from({ length: 200 }, (_, index): Pod => {
      const { metadata, spec } = pod(`old-${index}`);
      const owned = { labels: { app: 'web' }, ownerReferences: [controllerReference(replicaSet)] };
      const status = { phase: 'Succeeded' as const };
      return { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, ...owned }, spec, status };
    });
    const { success, created } = draft(replicaSet, finished, 100);
    expect(created).toHaveLength(100);
    expect(success.length).toBeLessThan(128);
  });
});
