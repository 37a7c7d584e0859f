/** What a disruption budget allows, as its controller counts it. */
import { describe, expect, it } from 'vitest';
import { reconcileBudget } from '../../../../control-plane/controllers/disruption/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type { KubeObject, Pod, PodDisruptionBudget } from '../../../../proto/gen/types.ts';
import { deploymentManifest, manifest } from '../api/harness.ts';
import { pod } from '../scheduler/objects.ts';

const budget = (spec: PodDisruptionBudget['spec']): PodDisruptionBudget => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: 'b', namespace: 'default', generation: 2, resourceVersion: '1' },
  spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
});

function replica(name: string, { ready = true, deleting = false, owner = 'rs' } = {}): Pod {
  const made = pod(name, { ...(owner && { owner }), spec: { nodeName: 'n1' } });
  return {
    ...made,
    metadata: {
      ...made.metadata,
      labels: { app: 'web' },
      ...(deleting && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

/** A Deployment with this many replicas, its ReplicaSet, and these pods. */
function statusOf(spec: PodDisruptionBudget['spec'], replicas: number, pods: readonly Pod[]) {
  const deployment = manifest<KubeObject>(deploymentManifest('web', { replicas }));
  const owned = (uid: string, kind: string, ownerUID: string) => ({
    name: uid,
    namespace: 'default',
    uid,
    resourceVersion: '1',
    ownerReferences: [{ apiVersion: 'apps/v1', kind, name: ownerUID, uid: ownerUID, controller: true }],
  });
  const objects = [
    { ...deployment, metadata: { name: 'web', namespace: 'default', uid: 'deploy', resourceVersion: '1' } },
    { ...deployment, kind: 'ReplicaSet', metadata: owned('rs', 'Deployment', 'deploy'), spec: { replicas: 1 } },
    ...pods,
  ] as KubeObject[];
  const state = new MutableClusterState();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  const [change] = reconcileBudget(state, budget(spec), 0).changes;
  return (change?.object as PodDisruptionBudget | undefined)?.status;
}

const web = (count: number, options = {}): Pod[] =>
  Array.from({ length: count }, (_, index) => replica(`web-${index}`, options));

describe('a disruption budget', () => {
  const cases: readonly [string, PodDisruptionBudget['spec'], number, Pod[], number, number, number, number][] = [
    // allowed, healthy, desired, expected
    ['minAvailable as a number', { minAvailable: '2' }, 3, web(3), 1, 3, 2, 3],
    ['minAvailable as a part, rounded up', { minAvailable: '50%' }, 5, web(5), 2, 5, 3, 5],
    ['maxUnavailable as a number', { maxUnavailable: '1' }, 3, web(3), 1, 3, 2, 3],
    ['maxUnavailable as a part, rounded up', { maxUnavailable: '30%' }, 5, web(5), 2, 5, 3, 5],
    ['pods that are missing count as unavailable', { maxUnavailable: '1' }, 3, web(2), 0, 2, 2, 3],
    [
      'pods that are not ready or going are not healthy',
      { minAvailable: '1' },
      3,
      [replica('a'), replica('b', { ready: false }), replica('c', { deleting: true })],
      0,
      1,
      1,
      3,
    ],
    ['pods without an owner count themselves', { maxUnavailable: '1' }, 9, web(2, { owner: '' }), 1, 2, 1, 2],
    ['nothing is covered', { minAvailable: '0' }, 3, [], 0, 0, 0, 0],
    ['more may be missing than there are', { maxUnavailable: '7' }, 2, web(2), 2, 2, 0, 2],
  ];
  it.each(cases)('%s', (_name, spec, replicas, pods, allowed, healthy, desired, expected) => {
    expect(statusOf(spec, replicas, pods)).toMatchObject({
      disruptionsAllowed: allowed,
      currentHealthy: healthy,
      desiredHealthy: desired,
      expectedPods: expected,
      observedGeneration: 2,
      conditions: [{ type: 'DisruptionAllowed', status: allowed > 0 ? 'True' : 'False' }],
    });
  });
});
