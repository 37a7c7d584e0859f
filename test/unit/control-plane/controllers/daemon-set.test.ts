import { describe, expect, it } from 'vitest';
import { fitOf, nodeOf } from '../../../../control-plane/controllers/daemon-set/placement.ts';
import { reconcileDaemonSet } from '../../../../control-plane/controllers/daemon-set/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import type { ControllerRevision, DaemonSet, KubeObject, Node, Pod, Taint } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');

const base: DaemonSet = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'logs', namespace: 'default', uid: 'uid-ds', resourceVersion: '1', generation: 1 },
  spec: {
    selector: { matchLabels: { app: 'logs' } },
    template: { metadata: { labels: { app: 'logs' } }, spec: { containers: [{ name: 'main', image: 'echo:1' }] } },
  },
};

function withTemplate(spec: Partial<DaemonSet['spec']['template']['spec']>, rest: Partial<DaemonSet['spec']> = {}) {
  const template = { ...base.spec.template, spec: { ...base.spec.template.spec, ...spec } };
  return { ...base, spec: { ...base.spec, ...rest, template } };
}

function node(name: string, taints: Taint[] = [], labels: Record<string, string> = {}): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: `uid-${name}`, labels }, spec: { taints } };
}

interface Facts {
  readonly hash?: string;
  readonly ready?: boolean;
  readonly deleting?: boolean;
  readonly phase?: 'Running' | 'Failed';
  readonly created?: string;
}

function pod(nodeName: string, facts: Facts = {}): Pod {
  const { hash = 'old', ready = true, deleting, phase = 'Running', created = '2026-01-01T00:00:00Z' } = facts;
  const name = `logs-${nodeName}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      labels: { app: 'logs', 'controller-revision-hash': hash },
      creationTimestamp: created,
      ...(deleting && { deletionTimestamp: created }),
      ownerReferences: [controllerReference(base)],
    },
    spec: { containers: [{ name: 'main', image: 'echo:1' }], nodeName },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: created }] },
  };
}

/** The objects, and after a first turn that records the template its revision. */
function reconcile(objects: readonly KubeObject[], daemonSet: DaemonSet = base) {
  const state = new MutableClusterState();
  state.replace(
    [daemonSet, ...objects].map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  const { changes, requeueAfterMs } = reconcileDaemonSet(state, daemonSet, nowMs, { mostPerTransaction: 100 });
  const created = changes.flatMap(({ type, object }) => (type === 'create' && object.kind === 'Pod' ? [object] : []));
  const deleted = changes.flatMap(({ type, object }) =>
    type === 'delete' && object.kind === 'Pod' ? [object.metadata.name] : [],
  );
  const revisions = changes.flatMap(({ object }) => (object.kind === 'ControllerRevision' ? [object] : []));
  const status = changes.flatMap(({ object }) => (object.kind === 'DaemonSet' ? [object.status!] : []))[0];
  return { created, deleted, revisions, status, requeueAfterMs };
}

const nodes = ['n1', 'n2', 'n3', 'n4'].map((name) => node(name));

/** The revision of a template, as the controller makes it. */
function revisionOf(daemonSet: DaemonSet, number = 1): ControllerRevision {
  const [revision] = reconcile([], daemonSet).revisions;
  return { ...revision!, metadata: { ...revision!.metadata, uid: `uid-${number}` }, revision: number };
}
const hashOf = (daemonSet: DaemonSet): string => revisionOf(daemonSet).metadata.labels!['controller-revision-hash']!;

describe('where pods of a DaemonSet are', () => {
  it('is every node, each with a pod that can go nowhere else', () => {
    const { created } = reconcile(nodes);
    expect(created.map(nodeOf)).toEqual(['n1', 'n2', 'n3', 'n4']);
    expect(created[0]).toMatchObject({
      metadata: { generateName: 'logs-', labels: { app: 'logs', 'controller-revision-hash': hashOf(base) } },
      spec: {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] }],
            },
          },
        },
      },
    });
  });

  const taint = (key: string, effect: Taint['effect'] = 'NoSchedule'): Taint => ({ key, effect });
  it.each<[string, Node, DaemonSet, boolean, boolean]>([
    ['a lost node', node('n', [taint('node.kubernetes.io/unreachable', 'NoExecute')]), base, true, true],
    ['a node that is not ready', node('n', [taint('node.kubernetes.io/not-ready')]), base, true, true],
    ['a node under pressure', node('n', [taint('node.kubernetes.io/disk-pressure')]), base, true, true],
    ['a node with a taint', node('n', [taint('dedicated')]), base, false, true],
    ['a node with a hard taint', node('n', [taint('dedicated', 'NoExecute')]), base, false, false],
    ['a node to be avoided', node('n', [taint('dedicated', 'PreferNoSchedule')]), base, true, true],
    [
      'a tolerated taint',
      node('n', [taint('dedicated')]),
      withTemplate({ tolerations: [{ operator: 'Exists' }] }),
      true,
      true,
    ],
    ['no label', node('n'), withTemplate({ nodeSelector: { disk: 'ssd' } }), false, false],
    ['the label', node('n', [], { disk: 'ssd' }), withTemplate({ nodeSelector: { disk: 'ssd' } }), true, true],
    [
      'affinity to others',
      node('n', [], { disk: 'hdd' }),
      withTemplate({
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] }],
            },
          },
        },
      }),
      false,
      false,
    ],
  ])('%s', (_name, where, daemonSet, run, stay) => {
    expect(fitOf(daemonSet, where)).toEqual({ run, stay });
  });

  it('keeps the conditions of the template beside the name of the node', () => {
    const labels = { disk: 'ssd' };
    const expression = { key: 'disk', operator: 'In' as const, values: ['ssd'] };
    const required = { nodeSelectorTerms: [{ matchExpressions: [expression] }] };
    const daemonSet = withTemplate({
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
    });
    const { created } = reconcile([node('n1', [], labels)], daemonSet);
    const terms =
      created[0]!.spec.affinity!.nodeAffinity!.requiredDuringSchedulingIgnoredDuringExecution!.nodeSelectorTerms;
    expect(terms).toHaveLength(1);
    expect(terms[0]).toMatchObject({ matchExpressions: [expression], matchFields: [{ values: ['n1'] }] });
  });

  it('waits until the last pod of a node has gone, and takes away what should not be there', () => {
    const gone = pod('n9');
    const twice = { ...pod('n1'), metadata: { ...pod('n1').metadata, name: 'logs-second', uid: 'uid-second' } };
    const all = [...nodes.slice(0, 2), pod('n1'), twice, pod('n2', { deleting: true }), gone];
    const { created, deleted } = reconcile(all, withTemplate({}, { updateStrategy: { type: 'OnDelete' } }));
    expect(created).toEqual([]);
    expect(deleted).toHaveLength(2);
    expect(deleted).toContain('logs-n9');
  });

  it('replaces a pod that failed, but not over and over', () => {
    const hash = hashOf(base);
    const failed = pod('n1', { hash, phase: 'Failed', created: '2026-01-01T00:59:54Z' });
    const young = reconcile([nodes[0]!, failed, revisionOf(base)]);
    expect(young.deleted).toEqual([]);
    expect(young.requeueAfterMs).toBe(4000);
    const old = { ...failed, metadata: { ...failed.metadata, creationTimestamp: '2026-01-01T00:59:50Z' } };
    expect(reconcile([nodes[0]!, old, revisionOf(base)]).deleted).toEqual(['logs-n1']);
  });
});

describe('a rolling update of a DaemonSet', () => {
  const update = (pods: readonly Pod[], maxUnavailable?: string): readonly string[] =>
    reconcile(
      [...nodes, ...pods],
      withTemplate({}, maxUnavailable ? { updateStrategy: { rollingUpdate: { maxUnavailable } } } : {}),
    ).deleted;
  const old = ['n1', 'n2', 'n3', 'n4'].map((name) => pod(name));

  it.each([
    [undefined, 1],
    ['2', 2],
    ['50%', 2],
    ['51%', 3],
  ])('with maxUnavailable %s takes %i at a time', (maxUnavailable, count) => {
    expect(update(old, maxUnavailable)).toHaveLength(count);
  });

  it('takes no other while one is missing, but all that do not work', () => {
    expect(update([...old.slice(0, 3), pod('n4', { hash: hashOf(base), ready: false })])).toEqual([]);
    expect(update([...old.slice(0, 3), pod('n4', { deleting: true })])).toEqual([]);
    expect(update([...old.slice(0, 2), pod('n3', { ready: false }), pod('n4', { ready: false })])).toEqual([
      'logs-n3',
      'logs-n4',
    ]);
  });

  it('is over when all are of the newest template, and then says so', () => {
    const pods = ['n1', 'n2', 'n3', 'n4'].map((name) => pod(name, { hash: hashOf(base) }));
    const { deleted, created, status } = reconcile([...nodes, ...pods, revisionOf(base)]);
    expect([...deleted, ...created]).toEqual([]);
    expect(status).toEqual({
      currentNumberScheduled: 4,
      numberMisscheduled: 0,
      desiredNumberScheduled: 4,
      numberReady: 4,
      observedGeneration: 1,
      updatedNumberScheduled: 4,
      numberAvailable: 4,
      numberUnavailable: 0,
    });
  });

  it('leaves it to the user with OnDelete', () => {
    const daemonSet = withTemplate({}, { updateStrategy: { type: 'OnDelete' } });
    expect(reconcile([...nodes, ...old], daemonSet).deleted).toEqual([]);
  });
});

describe('the history of templates', () => {
  const images = ['echo:1', 'echo:2', 'echo:3', 'echo:4'];
  const version = (index: number): DaemonSet =>
    withTemplate({ containers: [{ name: 'main', image: images[index]! }] }, { revisionHistoryLimit: 1 });

  it('finds a template that comes back, and numbers it anew', () => {
    const kept = [revisionOf(version(0), 1), revisionOf(version(1), 2)];
    const { revisions } = reconcile(kept, version(0));
    expect(revisions).toMatchObject([{ metadata: { name: kept[0]!.metadata.name }, revision: 3 }]);
  });

  it('drops the oldest that no pod is of', () => {
    const kept = [0, 1, 2].map((index) => revisionOf(version(index), index + 1));
    const inUse = pod('n1', { hash: kept[0]!.metadata.labels!['controller-revision-hash']! });
    const { revisions } = reconcile([nodes[0]!, inUse, ...kept], version(3));
    const [made, dropped] = revisions;
    expect(made).toMatchObject({ revision: 4, data: { spec: { template: version(3).spec.template } } });
    expect(dropped!.metadata.name).toBe(kept[1]!.metadata.name);
    expect(revisions).toHaveLength(2);
  });
});
