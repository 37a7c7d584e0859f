import { describe, expect, test } from 'vitest';
import { planNode, planPodUpdate } from '../../../../control-plane/session/status-plan.ts';
import { findCondition } from '../../../../lib/model/conditions.ts';
import type { Node, Pod, PodStatusUpdate } from '../../../../proto/gen/types.ts';

const stored = (changes: Partial<Pod> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid: 'u1', resourceVersion: '7' },
  spec: { nodeName: 'n1', containers: [] },
  status: {
    phase: 'Pending',
    podIP: '10.42.0.5',
    podIPs: [{ ip: '10.42.0.5' }],
    hostIP: '10.88.0.11',
    conditions: [{ type: 'PodScheduled', status: 'True', reason: 'Bound' }],
  },
  ...changes,
});
const update = (changes: Partial<PodStatusUpdate> = {}): PodStatusUpdate => ({
  namespace: 'default',
  name: 'web',
  uid: 'u1',
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  ...changes,
});

describe('a pod’s reported status', () => {
  test('replaces what the agent writes and keeps what others write', () => {
    const report = update({
      status: {
        phase: 'Running',
        podIP: '6.6.6.6',
        hostIP: '6.6.6.6',
        conditions: [
          { type: 'PodScheduled', status: 'False' },
          { type: 'Ready', status: 'True' },
        ],
      },
    });
    const plan = planPodUpdate(stored(), report, 'n1');
    expect(plan.type === 'put' && plan.pod.status).toEqual({
      phase: 'Running',
      podIP: '10.42.0.5',
      podIPs: [{ ip: '10.42.0.5' }],
      hostIP: '10.88.0.11',
      conditions: [
        { type: 'PodScheduled', status: 'True', reason: 'Bound' },
        { type: 'Ready', status: 'True' },
      ],
    });
  });

  test('that says nothing new is not written, so that repeating a report costs nothing', () => {
    const first = planPodUpdate(stored(), update(), 'n1');
    expect(first.type).toBe('put');
    const again = planPodUpdate(first.type === 'put' ? first.pod : undefined, update(), 'n1');
    expect(again).toEqual({ type: 'ignore', reason: 'nothing changed' });
  });

  const deleting = stored({ metadata: { ...stored().metadata, deletionTimestamp: '2030-01-01T00:00:00Z' } });
  const held = stored({ metadata: { ...deleting.metadata, finalizers: ['x/y'] } });
  test.each<[string, Pod | undefined, PodStatusUpdate, string, string]>([
    ['of a pod that is gone', undefined, update(), 'n1', 'ignore'],
    ['of a namesake', stored(), update({ uid: 'u2' }), 'n1', 'ignore'],
    ['from another node', stored(), update(), 'n2', 'ignore'],
    ['of a pod that has failed', stored({ status: { phase: 'Failed' } }), update(), 'n1', 'ignore'],
    ['that it is removed, unasked', stored(), update({ removed: true }), 'n1', 'ignore'],
    ['that it is removed, as asked', deleting, update({ removed: true }), 'n1', 'remove'],
    ['that it is removed, held by a finalizer', held, update({ removed: true }), 'n1', 'ignore'],
    ['that it is removed, from another node', deleting, update({ removed: true }), 'n2', 'ignore'],
  ])('%s', (_, pod, report, nodeName, type) => {
    expect(planPodUpdate(pod, report, nodeName).type).toBe(type);
  });
});

describe('a node', () => {
  const nowMs = Date.UTC(2030, 0, 1);
  const node = (changes: Partial<Node> = {}): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', labels: { zone: 'a', 'kubernetes.io/arch': 'old' } },
    spec: { unschedulable: true },
    ...changes,
  });
  const ready = (planned: Node | undefined) => findCondition(planned?.status?.conditions, 'Ready');

  test('is Ready while it is alive and does not say otherwise, and Unknown when its lease is over', () => {
    const alive = planNode(node(), { alive: true, leaseMs: 3_000 }, nowMs);
    expect(ready(alive)).toMatchObject({ status: 'True', lastTransitionTime: '2030-01-01T00:00:00Z' });
    const conditions = [{ type: 'Ready', status: 'False' as const, reason: 'RuntimeDown', message: 'no runc' }];
    const unwell = planNode(alive!, { alive: true, leaseMs: 3_000, reported: { conditions } }, nowMs);
    expect(ready(unwell)).toMatchObject({ status: 'False', reason: 'RuntimeDown', message: 'no runc' });
    const lost = planNode(unwell!, { alive: false, leaseMs: 3_000, reported: { conditions } }, nowMs + 5_000);
    expect(ready(lost)).toMatchObject({ status: 'Unknown', lastTransitionTime: '2030-01-01T00:00:05Z' });
    expect(ready(lost)?.message).toBe("the node's agent has not been heard for 3 s");
  });

  test('is written only when something is new, whatever the order of conditions', () => {
    const reported = {
      capacity: { cpu: '2' },
      conditions: [
        { type: 'MemoryPressure', status: 'False' as const },
        { type: 'DiskPressure', status: 'False' as const },
      ],
    };
    const knowledge = { alive: true, leaseMs: 3_000, reported };
    const first = planNode(node(), knowledge, nowMs);
    expect(first?.spec).toEqual({ unschedulable: true });
    expect(planNode(first!, knowledge, nowMs + 60_000)).toBeUndefined();
  });

  test('gets the well-known labels from its agent, keeps what a client relabelled, and none that bypass an admin', () => {
    const labels = { zone: 'b', disk: 'ssd', 'kubernetes.io/arch': 'amd64', 'node-restriction.kubernetes.io/x': 'y' };
    const planned = planNode(node(), { alive: true, leaseMs: 3_000, labels }, nowMs);
    expect(planned?.metadata.labels).toEqual({ zone: 'a', disk: 'ssd', 'kubernetes.io/arch': 'amd64' });
  });
});
