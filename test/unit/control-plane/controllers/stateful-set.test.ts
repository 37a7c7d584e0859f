import { describe, expect, it } from 'vitest';
import { statefulSetController } from '../../../../control-plane/controllers/stateful-set/controller.ts';
import { reconcileStatefulSet } from '../../../../control-plane/controllers/stateful-set/reconcile.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import type { ControllerRevision, KubeObject, Pod, StatefulSet, StatefulSetSpec } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const longAgo = '2026-01-01T00:00:00Z';

function statefulSet(spec: Partial<StatefulSetSpec> & { image?: string } = {}): StatefulSet {
  const { image = 'db:1', ...rest } = spec;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default', uid: 'uid-db', resourceVersion: '1', generation: 1 },
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'main', image }] } },
      ...rest,
    },
  };
}

interface Facts {
  readonly ready?: boolean;
  readonly deleting?: boolean;
  readonly phase?: 'Running' | 'Failed';
  readonly image?: string;
  readonly readySince?: string;
  readonly madeAt?: string;
}

function pod(ordinal: number, facts: Facts = {}): Pod {
  const { ready = true, deleting, phase = 'Running', image = 'db:1', readySince = longAgo, madeAt = longAgo } = facts;
  const name = `db-${ordinal}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      labels: { app: 'db', 'controller-revision-hash': hashOf(revisionOf(image)) },
      creationTimestamp: madeAt,
      ...(deleting && { deletionTimestamp: '2026-01-01T00:59:00Z' }),
      ownerReferences: [controllerReference(statefulSet())],
    },
    spec: { containers: [{ name: 'main', image }], nodeName: 'node-1' },
    status: {
      phase,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: readySince }],
    },
  };
}

function reconcile(object: StatefulSet, others: readonly KubeObject[] = []) {
  const state = new MutableClusterState();
  state.replace(
    [object, ...others].map((each) => ({ key: keyOf(each), object: each })),
    1n,
  );
  const {
    changes,
    requeueAfterMs,
    events = [],
  } = reconcileStatefulSet(state, object, nowMs, { mostPerTransaction: 100 });
  const pick = <K extends KubeObject['kind']>(type: string, kind: K) =>
    changes.flatMap(({ type: its, object: one }) =>
      its === type && one.kind === kind ? [one as Extract<KubeObject, { kind: K }>] : [],
    );
  const created = pick('create', 'Pod');
  return {
    pods: created,
    created: created.map(({ metadata, spec }) => `${metadata.name}=${spec.containers[0]!.image}`),
    deleted: pick('delete', 'Pod').map(({ metadata }) => metadata.name),
    claims: pick('create', 'PersistentVolumeClaim'),
    touchedClaims: changes.filter(
      ({ type, object: { kind } }) => type !== 'create' && kind === 'PersistentVolumeClaim',
    ),
    revisions: pick('create', 'ControllerRevision'),
    status: pick('update', 'StatefulSet')[0]?.status,
    reasons: events.map(({ reason }) => reason),
    requeueAfterMs,
  };
}

/** The revision of an image's template, as the controller makes it. */
function revisionOf(image: string, number = 1): ControllerRevision {
  const [revision] = reconcile(statefulSet({ image })).revisions;
  return { ...revision!, metadata: { ...revision!.metadata, uid: `uid-rev-${number}` }, revision: number };
}
const hashOf = ({ metadata }: ControllerRevision): string => metadata.labels!['controller-revision-hash']!;

const [one, two] = [revisionOf('db:1', 1), revisionOf('db:2', 2)];
const inState = (object: StatefulSet, current = one): StatefulSet => ({
  ...object,
  status: { currentRevision: current.metadata.name },
});

describe('the names of a StatefulSet', () => {
  it('are host names under its service', () => {
    const [first] = reconcile(statefulSet({ podManagementPolicy: 'Parallel' })).pods;
    expect(first).toMatchObject({
      metadata: {
        name: 'db-0',
        labels: { 'statefulset.kubernetes.io/pod-name': 'db-0', 'apps.kubernetes.io/pod-index': '0' },
      },
      spec: { hostname: 'db-0', subdomain: 'db' },
    });
  });

  it('may begin elsewhere than at 0', () => {
    const object = statefulSet({ podManagementPolicy: 'Parallel', ordinals: { start: 5 } });
    expect(reconcile(object, [pod(0)])).toMatchObject({
      created: ['db-5=db:1', 'db-6=db:1', 'db-7=db:1'],
      deleted: ['db-0'],
    });
  });

  it('wait for strangers that have one of them, and say so', () => {
    const stranger = { ...pod(0), metadata: { ...pod(0).metadata, labels: { app: 'other' }, ownerReferences: [] } };
    expect(reconcile(statefulSet(), [stranger])).toMatchObject({ created: [], reasons: ['FailedCreate'] });
  });
});

describe('the claims of its pods', () => {
  const template = {
    metadata: { name: 'data', labels: { tier: 'gold' } },
    spec: { accessModes: ['ReadWriteOnce' as const], resources: { requests: { storage: '1Gi' } } },
  };
  const withClaims = (spec: Partial<StatefulSetSpec> = {}): StatefulSet =>
    statefulSet({ volumeClaimTemplates: [template], ...spec });

  it('are made with the pod that mounts them, for nobody to own', () => {
    const { claims, pods } = reconcile(withClaims());
    expect(claims).toMatchObject([
      {
        metadata: { name: 'data-db-0', namespace: 'default', labels: { app: 'db', tier: 'gold' } },
        spec: template.spec,
        status: { phase: 'Pending' },
      },
    ]);
    expect(claims[0]?.metadata).not.toHaveProperty('ownerReferences');
    expect(claims[0]?.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
    expect(pods[0]?.spec.volumes).toEqual([{ name: 'data', persistentVolumeClaim: { claimName: 'data-db-0' } }]);
  });

  it('are taken up again by a pod that comes back, and stay when there are fewer pods', () => {
    const [claim] = reconcile(withClaims()).claims;
    const kept = { ...claim!, metadata: { ...claim!.metadata, uid: 'uid-claim', resourceVersion: '1' } };
    const again = reconcile(withClaims(), [kept]);
    expect([again.created, again.claims]).toEqual([['db-0=db:1'], []]);
    const fewer = reconcile(inState(withClaims({ replicas: 0 })), [kept, one, pod(0)]);
    expect([fewer.deleted, fewer.touchedClaims]).toEqual([['db-0'], []]);
  });

  it('are made anew for a pod that waits on no node while they are gone', () => {
    const { nodeName: _none, ...spec } = pod(0).spec;
    const waiting: Pod = { ...pod(0, { ready: false }), spec, status: { phase: 'Pending' } };
    const object = inState(withClaims());
    expect(reconcile(object, [one, waiting]).claims.map(({ metadata }) => metadata.name)).toEqual(['data-db-0']);
    // One that runs has what its claim stood for when it was bound.
    expect(reconcile(object, [one, pod(0)]).claims.map(({ metadata }) => metadata.name)).toEqual(['data-db-1']);
    const [claim] = reconcile(withClaims()).claims;
    const using: Pod = { ...waiting, spec: { ...spec, ...reconcile(withClaims()).pods[0]?.spec } };
    const state = new MutableClusterState();
    state.replace([{ key: keyOf(using), object: using }], 1n);
    const keys = [
      ...statefulSetController({ mostPerTransaction: 100 }).keysOf({ key: keyOf(claim!), previous: claim! }, state),
    ];
    expect(keys).toEqual([keyOf(object)]);
  });
});

describe('in order', () => {
  it.each<[string, StatefulSet, readonly Pod[], readonly string[], readonly string[]]>([
    ['begins with the first', statefulSet(), [], ['db-0=db:1'], []],
    ['goes on when that is available', statefulSet(), [pod(0)], ['db-1=db:1'], []],
    ['waits until it is', statefulSet(), [pod(0, { ready: false })], [], []],
    [
      'waits for minReadySeconds',
      statefulSet({ minReadySeconds: 60 }),
      [pod(0, { readySince: '2026-01-01T00:59:30Z' })],
      [],
      [],
    ],
    ['fills a gap first', statefulSet(), [pod(0), pod(2)], ['db-1=db:1'], []],
    ['waits for one that goes', statefulSet(), [pod(0), pod(1, { deleting: true })], [], []],
    ['replaces one that failed', statefulSet(), [pod(0), pod(1, { phase: 'Failed' })], [], ['db-1']],
    [
      'not at once when it has only just been made',
      statefulSet(),
      [pod(0), pod(1, { phase: 'Failed', madeAt: '2026-01-01T00:59:55Z' })],
      [],
      [],
    ],
    [
      'also when a clock that ran ahead says that it is yet to be made',
      statefulSet(),
      [pod(0), pod(1, { phase: 'Failed', madeAt: '2026-01-01T02:00:00Z' })],
      [],
      ['db-1'],
    ],
    ['goes down from the highest', statefulSet({ replicas: 1 }), [pod(0), pod(1), pod(2)], [], ['db-2']],
    ['one by one', statefulSet({ replicas: 1 }), [pod(0), pod(1), pod(2, { deleting: true })], [], []],
    ['not while one that stays is ill', statefulSet({ replicas: 1 }), [pod(0, { ready: false }), pod(1)], [], []],
    ['down to nothing, however ill', statefulSet({ replicas: 0 }), [pod(0, { ready: false })], [], ['db-0']],
  ])('%s', (_name, object, pods, created, deleted) => {
    expect(reconcile(inState(object), [one, ...pods])).toMatchObject({ created, deleted });
  });

  it('looks again when a pod will be available', () => {
    const young = pod(0, { readySince: '2026-01-01T00:59:30Z' });
    expect(reconcile(statefulSet({ minReadySeconds: 60 }), [young]).requeueAfterMs).toBe(30_000);
  });
});

describe('in parallel', () => {
  const parallel = (spec: Partial<StatefulSetSpec> & { image?: string } = {}): StatefulSet =>
    inState(statefulSet({ podManagementPolicy: 'Parallel', ...spec }));

  it('makes and removes all at once', () => {
    expect(reconcile(parallel(), [pod(1, { ready: false })]).created).toEqual(['db-0=db:1', 'db-2=db:1']);
    expect(reconcile(parallel({ replicas: 1 }), [one, pod(0), pod(1), pod(2)]).deleted).toEqual(['db-2', 'db-1']);
  });

  it('updates one after the other all the same', () => {
    const all = [one, two, pod(0), pod(1), pod(2)];
    expect(reconcile(parallel({ image: 'db:2' }), all).deleted).toEqual(['db-2']);
  });
});

describe('an update', () => {
  const updating = (spec: Partial<StatefulSetSpec> = {}): StatefulSet =>
    inState(statefulSet({ image: 'db:2', ...spec }));
  const partitioned = (partition: number): Partial<StatefulSetSpec> => ({
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition } },
  });
  const done = { image: 'db:2' };

  it.each<[string, Partial<StatefulSetSpec>, readonly Pod[], readonly string[], readonly string[]]>([
    ['begins with the highest', {}, [pod(0), pod(1), pod(2)], [], ['db-2']],
    ['makes it anew', {}, [pod(0), pod(1)], ['db-2=db:2'], []],
    ['waits for it', {}, [pod(0), pod(1), pod(2, { ...done, ready: false })], [], []],
    ['goes down', {}, [pod(0), pod(1), pod(2, done)], [], ['db-1']],
    ['is over', {}, [pod(0, done), pod(1, done), pod(2, done)], [], []],
    ['stops at the partition', partitioned(2), [pod(0), pod(1), pod(2, done)], [], []],
    ['below it makes the former', partitioned(2), [pod(0), pod(2, done)], ['db-1=db:1'], []],
    ['above it makes the new', partitioned(1), [pod(0), pod(2, done)], ['db-1=db:2'], []],
    ['is left to the user', { updateStrategy: { type: 'OnDelete' } }, [pod(0), pod(1), pod(2)], [], []],
    ['replaces at once what never worked', {}, [pod(0), pod(1), pod(2, { image: 'db:3', ready: false })], [], ['db-2']],
  ])('%s', (_name, spec, pods, created, deleted) => {
    expect(reconcile(updating(spec), [one, two, ...pods])).toMatchObject({ created, deleted });
  });

  it('tells how far it is, and when the new template is the current one', () => {
    const half = reconcile(updating(), [one, two, pod(0), pod(1), pod(2, done)]).status;
    expect(half).toMatchObject({
      currentRevision: one.metadata.name,
      updateRevision: two.metadata.name,
      currentReplicas: 2,
      updatedReplicas: 1,
      readyReplicas: 3,
    });
    const whole = reconcile(updating(), [one, two, pod(0, done), pod(1, done), pod(2, done)]).status;
    expect(whole).toMatchObject({ currentRevision: two.metadata.name, currentReplicas: 3, updatedReplicas: 3 });
  });

  it('that got stuck is mended by going back', () => {
    const stuck = [revisionOf('db:1', 1), two, pod(0), pod(1), pod(2, { ...done, ready: false })];
    expect(reconcile(inState(statefulSet()), stuck).deleted).toEqual(['db-2']);
  });
});
