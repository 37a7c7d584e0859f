import { describe, expect, it } from 'vitest';
import { scaleInProportion } from '../../../../control-plane/controllers/deployment/proportional.ts';
import { reconcileDeployment } from '../../../../control-plane/controllers/deployment/reconcile.ts';
import { findByTemplate, templateHash, withHash } from '../../../../control-plane/controllers/deployment/template.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type { Deployment, KubeObject, PodTemplateSpec, ReplicaSet } from '../../../../proto/gen/types.ts';
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
