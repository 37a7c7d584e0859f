import { describe, expect, it } from 'vitest';
import { obstacleOf } from '../../../../control-plane/controllers/deployment/obstacle.ts';
import { scaleInProportion } from '../../../../control-plane/controllers/deployment/proportional.ts';
import { reconcileDeployment } from '../../../../control-plane/controllers/deployment/reconcile.ts';
import { findByTemplate, templateHash, withHash } from '../../../../control-plane/controllers/deployment/template.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type { Deployment, KubeObject, Pod, PodTemplateSpec, ReplicaSet } from '../../../../proto/gen/types.ts';
import { deployment } from './cluster.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const template: PodTemplateSpec = deployment('web').spec.template;

const stored = (object: Deployment): Deployment => ({
  ...object,
  metadata: { ...object.metadata, uid: `uid-${object.metadata.name}`, resourceVersion: '1', generation: 1 },
});

function reconcile(subject: Deployment, ...objects: KubeObject[]) {
  const state = new MutableClusterState();
  state.replace(
    [subject, ...objects].map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  return reconcileDeployment(state, subject, nowMs);
}

const replicaSetIn = (result: ReturnType<typeof reconcile>, type: string): ReplicaSet =>
  result.changes.find((change) => change.type === type && change.object.kind === 'ReplicaSet')!.object as ReplicaSet;

describe('template hashes', () => {
  it('do not depend on the order of fields, on empty lists, or on the hash label itself', () => {
    const [container] = template.spec.containers;
    const same: PodTemplateSpec = {
      spec: {
        volumes: [],
        containers: [{ image: container!.image, ports: container!.ports!, name: container!.name, env: [] }],
      },
      metadata: { labels: { app: 'web' } },
    };
    expect(templateHash(same, 0)).toBe(templateHash(template, 0));
    expect(templateHash(withHash(template, 'x'), 0)).toBe(templateHash(template, 0));
  });

  it('differ for another template and after a collision', () => {
    const other = { ...template, spec: { ...template.spec, containers: [{ name: 'main', image: 'echo:2' }] } };
    expect(templateHash(other, 0)).not.toBe(templateHash(template, 0));
    expect(templateHash(template, 1)).not.toBe(templateHash(template, 0));
    expect(templateHash(template, 0)).toMatch(/^[a-z0-9]{10}$/);
  });

  it('find the ReplicaSet again', () => {
    const made = replicaSetIn(reconcile(stored(deployment('web'))), 'create');
    expect(findByTemplate([made], template)).toBe(made);
    expect(findByTemplate([made], { ...template, metadata: { labels: { app: 'web', extra: 'x' } } })).toBeUndefined();
  });
});

describe('a new ReplicaSet', () => {
  it('selects its own pods only and belongs to the deployment', () => {
    const made = replicaSetIn(reconcile(stored(deployment('web'))), 'create');
    const hash = made.metadata.labels!['pod-template-hash']!;
    expect(made).toMatchObject({
      metadata: {
        name: `web-${hash}`,
        annotations: {
          'deployment.kubernetes.io/revision': '1',
          'deployment.kubernetes.io/desired-replicas': '3',
          'deployment.kubernetes.io/max-replicas': '4',
        },
        ownerReferences: [{ kind: 'Deployment', name: 'web', uid: 'uid-web', controller: true }],
      },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web', 'pod-template-hash': hash } },
        template: { metadata: { labels: { app: 'web', 'pod-template-hash': hash } } },
      },
    });
  });

  it('takes another name when its own is somebody else’s', () => {
    const first = replicaSetIn(reconcile(stored(deployment('web'))), 'create');
    const squatter: ReplicaSet = {
      ...first,
      metadata: { name: first.metadata.name, namespace: 'default', uid: 'other' },
    };
    const result = reconcile(stored(deployment('web')), squatter);
    expect(replicaSetIn(result, 'create').metadata.name).not.toBe(first.metadata.name);
    const status = (result.changes.at(-1)!.object as Deployment).status;
    expect(status?.collisionCount).toBe(1);
  });

  it('is not made in a namespace that is going, nor for a deployment that is', () => {
    const going: KubeObject = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'default', deletionTimestamp: '2026-01-01T00:00:00Z' },
    };
    expect(reconcile(stored(deployment('web')), going).changes).toEqual([]);
    const deleted = stored(deployment('web'));
    deleted.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    expect(reconcile(deleted).changes).toEqual([]);
  });
});

describe('scaling in proportion', () => {
  it.each([
    // parts [wanted, max before], replicas, surge -> sizes
    [
      'up, to the larger one the more',
      [
        [3, 12],
        [9, 12],
      ],
      20,
      2,
      [5, 17],
    ],
    [
      'down, from the larger one the more',
      [
        [3, 12],
        [9, 12],
      ],
      4,
      2,
      [2, 4],
    ],
    [
      'to nothing',
      [
        [3, 12],
        [9, 12],
      ],
      0,
      2,
      [0, 0],
    ],
    [
      'what rounding leaves over goes to the largest',
      [
        [5, 15],
        [5, 15],
        [5, 15],
      ],
      16,
      0,
      [5, 5, 6],
    ],
    [
      'not at all when nothing changes',
      [
        [4, 12],
        [8, 12],
      ],
      10,
      2,
      [4, 8],
    ],
  ] as const)('%s', (_name, parts, replicas, maxSurge, sizes) => {
    const given = parts.map(([wanted, maxBefore]) => ({ wanted, maxBefore }));
    expect(scaleInProportion(given, { replicas, maxSurge, maxUnavailable: 0 })).toEqual(sizes);
  });
});

describe('what is in the way of a rollout', () => {
  const pod = (status: Pod['status']): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', namespace: 'default' },
    spec: template.spec,
    status: status!,
  });
  it.each<[string, Pod['status'], string | undefined]>([
    ['nothing', { conditions: [{ type: 'Ready', status: 'True' }] }, undefined],
    [
      'no node',
      { conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes fit: 3 cordoned' }] },
      '1 of 1 pods are not ready; web-1: 0/3 nodes fit: 3 cordoned',
    ],
    [
      'no image',
      {
        containerStatuses: [{ name: 'main', state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } } }],
      },
      '1 of 1 pods are not ready; web-1: ErrImagePull: no such image',
    ],
    [
      'a node, in the words of the scheduler, rather than a container on its way',
      { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }] },
      '1 of 1 pods are not ready; web-1: Unschedulable: 0/3 nodes',
    ],
    [
      'a crash',
      {
        containerStatuses: [
          {
            name: 'main',
            state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s' } },
            lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
          },
        ],
      },
      '1 of 1 pods are not ready; web-1: CrashLoopBackOff: back-off 40s; last exit code 137 (OOMKilled)',
    ],
    [
      'a crash, while the container tries again',
      {
        containerStatuses: [
          { name: 'main', restartCount: 4, state: { running: {} }, lastState: { terminated: { exitCode: 1 } } },
        ],
      },
      '1 of 1 pods are not ready; web-1: container main was restarted 4 times; last exit code 1',
    ],
    ['something that nobody has told', {}, '1 of 1 pods are not ready; web-1: not ready and not yet on a node'],
    [
      'a probe',
      { conditions: [{ type: 'Ready', status: 'False', message: 'readiness probe failed' }] },
      '1 of 1 pods are not ready; web-1: readiness probe failed',
    ],
  ])('%s', (_name, status, sentence) => {
    expect(obstacleOf([pod(status)])).toBe(sentence);
  });

  it('is told of the pod that says most', () => {
    const creating = pod({
      containerStatuses: [{ name: 'main', state: { waiting: { reason: 'ContainerCreating' } } }],
    });
    const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
    const failing = pod({ containerStatuses: [{ name: 'main', state: { waiting } }] });
    const other: Pod = { ...failing, metadata: { ...failing.metadata, name: 'web-2' } };
    expect(obstacleOf([creating, other])).toBe('2 of 2 pods are not ready; web-2: ImagePullBackOff: no such image');
  });

  it('is what the probes said, when the container runs', () => {
    const running = pod({
      conditions: [{ type: 'Ready', status: 'False', message: 'containers with unready status: [main]' }],
      containerStatuses: [{ name: 'main', state: { running: {} } }],
    });
    const complaintAbout = (): string => 'Readiness probe failed: HTTP 503';
    expect(obstacleOf([running], { complaintAbout })).toContain('web-1: Readiness probe failed: HTTP 503');
  });

  it('is what keeps pods from being made, when there are none', () => {
    const leaving = pod({});
    leaving.metadata = { ...leaving.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
    leaving.spec = { ...leaving.spec, nodeName: 'node-2' };
    expect(obstacleOf([], { replicaFailure: 'exceeded quota' })).toBe('exceeded quota');
    expect(obstacleOf([], { oldPods: [leaving] })).toBe('waits for the former pod web-1 to stop on node node-2');
  });
});
