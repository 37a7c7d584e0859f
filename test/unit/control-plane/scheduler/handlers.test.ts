/** What the scheduler answers to questions, through ctl and from the mirror alone. */
import { describe, expect, it } from 'vitest';
import { admitApplied } from '../../../../control-plane/api/admission.ts';
import { explainPending, schedulingHandlers } from '../../../../control-plane/scheduler/handlers.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { timestamp } from '../../../../lib/clock.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type {
  KubeObject,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  Taint,
} from '../../../../proto/gen/types.ts';
import { createCli } from '../../cli/harness.ts';
import { deploymentManifest, manifest } from '../api/harness.ts';
import { node, type PodShape, pod } from './objects.ts';

function stateOf(...objects: readonly KubeObject[]): MutableClusterState {
  const state = new MutableClusterState();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  return state;
}

const questionsTo = (state: MutableClusterState) =>
  schedulingHandlers({
    state,
    defaultStrategy: 'least-loaded',
    admit: (given, live) => admitApplied(given, live, seededRandom(1), 0),
    nowMs: () => 0,
  });

describe('ctl explain-pending', () => {
  const waiting = pod('big', { cpu: '3' });
  const state = stateOf(
    node('n1', { cpu: '2' }),
    node('n2', { spec: { unschedulable: true } }),
    node('n3', { ready: false }),
    waiting,
    pod('there', { spec: { nodeName: 'n1' } }),
  );

  it('shows what each node says', async () => {
    const cli = await createCli({ scheduling: questionsTo(state) });
    const { out, code } = await cli.run('explain-pending big');
    expect(code).toBe(0);
    expect(out).toBe(
      [
        '0/3 nodes fit: 1 cordoned, 1 insufficient cpu, 1 not ready',
        '',
        'NODE   VERDICT        REASON',
        'n1     does not fit   insufficient cpu: needs 3, 2 of 2 free',
        'n2     does not fit   cordoned',
        'n3     does not fit   not ready',
        '',
      ].join('\n'),
    );
  });

  it('says of every resource how much is needed and how much is free', () => {
    const picture = [
      node('n1', { cpu: '2', memory: '1Gi', pods: '2' }),
      node('n2', { cpu: '3500m', memory: `${300 * 2 ** 20 + 4097}` }),
      pod('a', { cpu: '1880m', memory: '256Mi', spec: { nodeName: 'n1' } }),
      pod('b', { cpu: '50m', spec: { nodeName: 'n1' } }),
      pod('c', { cpu: '100m', memory: '1Mi', spec: { nodeName: 'n2' } }),
    ];
    const asking = pod('asking', { cpu: '500m', memory: '1Gi' });
    expect(explainPending(stateOf(...picture, asking), asking, 0)).toEqual({
      nodes: [
        {
          nodeName: 'n1',
          reason: [
            'too many pods: 2 of 2',
            'insufficient cpu: needs 500m, 70m of 2 free',
            'insufficient memory: needs 1Gi, 768Mi of 1Gi free',
          ].join('; '),
        },
        { nodeName: 'n2', reason: 'insufficient memory: needs 1Gi, 299Mi of 300Mi free' },
      ],
      summary: '0/2 nodes fit: 1 insufficient memory, 1 too many pods',
    });
  });

  it('says where a pod is that does not wait, and when there is none', async () => {
    const cli = await createCli({ scheduling: questionsTo(state) });
    expect((await cli.run('explain-pending there')).out).toBe(
      'pod there is on node n1: it is not waiting for the scheduler\n',
    );
    const absent = await cli.run('explain-pending none');
    expect(absent.code).not.toBe(0);
    expect(absent.err).toContain('pods "none" not found');
  });

  it('of a workload, or of the whole namespace, is about those that wait', async () => {
    const cli = await createCli({ scheduling: questionsTo(state) });
    expect(await cli.run('explain-pending')).toEqual({ out: '', err: 'No pods wait for a node.\n', code: 0 });
    await cli.put(manifest(deploymentManifest('web')));
    expect((await cli.run('explain-pending deploy/web')).err).toBe('No pods of deploy/web wait for a node.\n');
    const labelled = (name: string, app: string, more: Partial<Pod['spec']> = {}): Pod => {
      const one = pod(name, { cpu: '3', spec: more });
      return { ...one, metadata: { ...one.metadata, labels: { app } } };
    };
    await cli.put({ ...labelled('big', 'web'), status: { phase: 'Pending' } });
    await cli.put({ ...labelled('there', 'web', { nodeName: 'n1' }), status: { phase: 'Pending' } });
    expect((await cli.run('explain-pending deploy/web')).out).toMatch(/^pod\/big: 0\/3 nodes fit: .*\n\nNODE /);
    await cli.put({ ...labelled('none', 'db'), status: { phase: 'Pending' } });
    expect((await cli.run('explain-pending deploy/web')).out).toMatch(/^pod\/big: /);
    const { err, code } = await cli.run('explain-pending cm/settings');
    expect([err, code]).toEqual(['error: a ConfigMap has no pods; name a pod, or a workload such as deploy/NAME\n', 1]);
  });

  it('is part of describe, while the pod waits', async () => {
    const cli = await createCli({ scheduling: questionsTo(state) });
    await cli.put(waiting);
    const { out } = await cli.run('describe pod big');
    expect(out).toMatch(
      /Scheduling: +0\/3 nodes fit: .*\n +n1: +insufficient cpu: needs 3, 2 of 2 free\n +n2: +cordoned\n/,
    );
    await cli.put({ ...waiting, spec: { ...waiting.spec, nodeName: 'n1' } });
    await cli.put(node('n1'));
    const bound = await cli.run('describe pod big');
    expect(bound.out).not.toContain('Scheduling:');
    expect(bound.out).not.toContain('Node Problem:');
  });
});

describe('ctl explain-pending of a pod whose node does not run it', () => {
  const secondsAgo = (seconds: number): string => timestamp(nowMs - seconds * 1000);
  const nowMs = Date.parse('2026-01-01T00:01:00Z');
  const nodeLost = (name: string, taints: Taint[] = [], status: 'Unknown' | 'False' = 'Unknown'): Node => {
    const base = node(name);
    const message = status === 'Unknown' ? "the node's agent has not been heard for 3 s" : 'disk is gone';
    const ready = { type: 'Ready', status, message, lastTransitionTime: secondsAgo(10) };
    return { ...base, spec: { ...base.spec, taints }, status: { ...base.status, conditions: [ready] } };
  };
  const unreachable = {
    key: 'node.kubernetes.io/unreachable',
    effect: 'NoExecute',
    timeAdded: secondsAgo(10),
  } as const;
  const on = (name: string, more: Partial<Pod['metadata']> = {}, spec: Partial<Pod['spec']> = {}): Pod => {
    const made = pod(name, { owner: 'web-1', spec: { nodeName: 'n1', ...spec } });
    return { ...made, metadata: { ...made.metadata, ...more }, status: { phase: 'Running' } };
  };
  const ofStatefulSet = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'db', controller: true }];
  const others = [node('n2'), node('n3')];
  const said = (about: Pod, ...nodes: Node[]): string =>
    explainPending(stateOf(...nodes, ...others, about), about, nowMs).summary ?? '';
  const lost = "is on node n1, which has been lost for 10 s (the node's agent has not been heard for 3 s): ";
  const byHand = 'at once when the machine is down and you say so: ctl node out-of-service n1';
  const tolerating = (tolerationSeconds?: number): Partial<Pod['spec']> => ({
    tolerations: [
      { key: unreachable.key, operator: 'Exists', ...(tolerationSeconds !== undefined && { tolerationSeconds }) },
    ],
  });

  it('names the taint, how long it is borne, and when the pod goes', () => {
    expect(said(on('a'), nodeLost('n1', [unreachable]))).toBe(
      `pod a ${lost}it does not tolerate taint node.kubernetes.io/unreachable:NoExecute, and is deleted now, and ReplicaSet web-1 makes another`,
    );
    expect(said(on('a', {}, tolerating(300)), nodeLost('n1', [unreachable]))).toBe(
      `pod a ${lost}it tolerates taint node.kubernetes.io/unreachable:NoExecute for 300 s, and is deleted at ${timestamp(nowMs + 290_000)}, in 290 s, and ReplicaSet web-1 makes another`,
    );
    expect(said(on('a', {}, tolerating()), nodeLost('n1', [unreachable]))).toContain('it tolerates that and stays');
    expect(said(on('a', { ownerReferences: [] }), nodeLost('n1', [], 'False'))).toBe(
      `pod a is on node n1, which has not been ready for 10 s (disk is gone): it does not tolerate taint node.kubernetes.io/not-ready:NoExecute, which it is given 30 s to bear, and is deleted at ${timestamp(nowMs + 30_000)}, in 30 s, and nothing makes another`,
    );
  });

  it('says of one that must not run twice what it waits for', () => {
    const strict = on('db-0', { ownerReferences: ofStatefulSet });
    expect(said(strict, nodeLost('n1', [unreachable]))).toBe(
      `pod db-0 ${lost}it must not run twice, and waits: it runs on when the node is back, or is replaced ${byHand}`,
    );
    const deleted = on('db-0', { ownerReferences: ofStatefulSet, deletionTimestamp: secondsAgo(1) });
    expect(said(deleted, nodeLost('n1', [unreachable]))).toBe(
      `pod db-0 ${lost}it is being deleted, and goes when the node is back and has stopped it, or ${byHand}`,
    );
    const fenced = on('db-0', {
      ownerReferences: ofStatefulSet,
      annotations: { 'gantry.dev/fencing': 'stop-after', 'gantry.dev/stop-after-seconds': '20' },
    });
    expect(said(fenced, nodeLost('n1', [unreachable]))).toBe(
      `pod db-0 ${lost}the node stops it after 20 s without contact, and it is replaced 23 s after the loss, or ${byHand}`,
    );
    const declared = { key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' } as const;
    expect(said(strict, nodeLost('n1', [unreachable, declared]))).toContain('the pod is about to be removed');
    expect(said(strict)).toContain('which no longer exists: pod db-0 must not run twice');
  });

  it('says when pods are held back because most nodes were lost together', () => {
    const away = ['n1', 'n4', 'n5', 'n6'].map((name) => nodeLost(name, [unreachable]));
    expect(said(on('a'), ...away)).toContain('4 of 6 nodes were lost together');
  });

  it('says what a taint of a node that is well does to it, and that it has finished', () => {
    const tainted = node('n1', { spec: { taints: [{ key: 'gpu', value: 'only', effect: 'NoExecute' }] } });
    expect(said(on('a'), tainted)).toBe(
      'pod a is on node n1: it does not tolerate taint gpu=only:NoExecute, and is deleted now, and ReplicaSet web-1 makes another',
    );
    const finished: Pod = { ...on('a'), status: { phase: 'Failed' } };
    expect(said(finished, nodeLost('n1'))).toContain('has finished (Failed)');
  });

  it('is part of describe', async () => {
    const about = on('db-0', { ownerReferences: ofStatefulSet });
    const gone = nodeLost('n1', [unreachable]);
    const cli = await createCli({ scheduling: questionsTo(stateOf(about, gone, ...others)) });
    for (const object of [about, gone]) await cli.put(object);
    expect((await cli.run('describe pod db-0')).out).toMatch(
      /Node Problem: +pod db-0 is on node n1, which has been lost/,
    );
  });
});

describe('ctl explain-pending of a pod whose volumes are elsewhere', () => {
  const hostname = 'kubernetes.io/hostname';
  const nodes = ['n1', 'n2', 'n3'].map((name) => node(name, { labels: { [hostname]: name } }));
  const claim = (name: string, spec: object): PersistentVolumeClaim => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '1' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    status: { phase: 'Bound' },
  });
  const volume = (name: string, claimName: string, values: string[]): PersistentVolume => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, uid: `uid-${name}`, resourceVersion: '1' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      local: { path: '/mnt/a' },
      claimRef: { name: claimName, namespace: 'default', uid: `uid-${claimName}` },
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: hostname, operator: 'In', values }] }] },
      },
    },
  });
  const using = (...claims: string[]): Pod =>
    pod('db-0', {
      spec: { volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })) },
    });
  const reasons = (about: Pod, ...objects: KubeObject[]): (string | undefined)[] =>
    (explainPending(stateOf(...nodes, ...objects, about), about, 0).nodes ?? []).map(({ reason }) => reason);

  it('names the claim, its volume, and the nodes that have it', () => {
    const one = [claim('data', { volumeName: 'pv-a' }), volume('pv-a', 'data', ['n2', 'n3'])];
    expect(reasons(using('data'), ...one)).toEqual([
      'node(s) had volume node affinity conflict: claim data has volume pv-a, which is on nodes n2, n3',
      undefined,
      undefined,
    ]);
    const two = [...one, claim('logs', { volumeName: 'pv-b' }), volume('pv-b', 'logs', ['n9'])];
    const logs =
      'claim logs has volume pv-b, which is on no node of the cluster, only where kubernetes.io/hostname In n9';
    expect(reasons(using('data', 'logs'), ...two)).toEqual([
      `node(s) had volume node affinity conflict: claim data has volume pv-a, which is on nodes n2, n3; ${logs}`,
      `node(s) had volume node affinity conflict: ${logs}`,
      `node(s) had volume node affinity conflict: ${logs}`,
    ]);
  });

  it('names the claim for which a node has no volume', () => {
    const late: KubeObject = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'late', uid: 'late', resourceVersion: '1' },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    };
    expect(reasons(using('data'), late, claim('data', { storageClassName: 'late' }))[0]).toBe(
      "node(s) didn't find available persistent volumes to bind: claim data wants a volume of 1Gi of class late",
    );
  });
});

describe('ctl simulate', () => {
  const replica = (name: string, nodeName: string, shape: PodShape = {}): Pod => {
    const made = pod(name, { cpu: '2', owner: 'rs', ...shape, spec: { nodeName, ...shape.spec } });
    return { ...made, status: { phase: 'Running' } };
  };
  const replicaSet = {
    ...manifest<ReplicaSet>({ ...(deploymentManifest('web', { replicas: 2 }) as object), kind: 'ReplicaSet' }),
    metadata: { name: 'web', namespace: 'default', uid: 'rs', resourceVersion: '1' },
  } as ReplicaSet;
  const world = (...more: KubeObject[]) =>
    stateOf(
      node('n1'),
      node('n2'),
      node('n3', { cpu: '2' }),
      replicaSet,
      replica('web-a', 'n1'),
      replica('web-b', 'n2'),
      ...more,
    );

  it('--kill: what would move where, what would wait, and what would be lost', async () => {
    const alone = pod('alone', { spec: { nodeName: 'n1' } });
    const state = world(replica('web-c', 'n1', { cpu: '3' }), alone);
    const before = JSON.stringify([...state.all()]);
    const cli = await createCli({ scheduling: questionsTo(state) });
    const { out, err } = await cli.run('simulate --kill n1');
    expect(err).toBe('');
    expect(out).toMatch(/default +web-a +ReplicaSet\/web +n1 +n3 +lost with node n1\n/);
    expect(out).toMatch(/default +web-c +ReplicaSet\/web +n1 +<none> +0\/2 nodes fit: 2 insufficient cpu\n/);
    expect(out).toMatch(/default +alone +<none> +n1 +<none> +lost with node n1; nothing replaces it\n/);
    expect(out).toMatch(/\n1 would move, 0 would be placed, 1 would wait, 1 would be gone; nothing was changed\n$/);
    expect(JSON.stringify([...state.all()])).toBe(before);
    expect((await cli.run('simulate --kill none')).err).toContain('nodes "none" not found');
  });

  it('--kill: a better pod takes the place of a lesser one, which moves on', async () => {
    const vip = replica('vip', 'n1', { cpu: '4', spec: { priority: 9 } });
    const state = stateOf(node('n1'), node('n2'), node('n3', { cpu: '2' }), replicaSet, vip, replica('web-b', 'n2'));
    const cli = await createCli({ scheduling: questionsTo(state) });
    const { out } = await cli.run('simulate --kill n1');
    expect(out).toMatch(/vip .* n1 +n2 +lost with node n1\n/);
    expect(out).toMatch(/web-b .* n2 +n3 +preempted by default\/vip\n/);
  });

  it('--apply: new pods, more replicas, and what is wrong with a manifest', async () => {
    const cli = await createCli({ scheduling: questionsTo(world()) });
    const apply = (value: unknown) => cli.run('simulate --apply -', { input: JSON.stringify(value) });
    const { out } = await apply(deploymentManifest('other', { replicas: 2 }));
    expect(out).toMatch(/other-\(new 1\) +Deployment\/other +<none> +n\d\n/);
    expect(out).toContain('0 would move, 2 would be placed, 0 would wait, 0 would be gone; nothing was changed');
    const more = { ...(deploymentManifest('web', { replicas: 3 }) as object), kind: 'ReplicaSet' };
    expect((await apply(more)).out).toContain('web-(new 1)');
    const wrong = await apply(deploymentManifest('other', { replicas: -1 }));
    expect(wrong.err).toContain('spec.replicas');
    expect((await cli.run('simulate')).err).toContain('say what would happen');
  });

  describe('the policies of the namespace', () => {
    const quota = (hard: Record<string, string>, used?: Record<string, string>): KubeObject => ({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'team', namespace: 'default', uid: 'quota', resourceVersion: '1' },
      spec: { hard },
      ...(used && { status: { hard, used } }),
    });
    const range: KubeObject = {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'sizes', namespace: 'default', uid: 'range', resourceVersion: '1' },
      spec: {
        limits: [{ type: 'Container', default: { cpu: '3500m' }, defaultRequest: { cpu: '3' }, max: { cpu: '3500m' } }],
      },
    };
    const applying = async (state: MutableClusterState, ...objects: readonly unknown[]) => {
      const before = JSON.stringify([...state.all()]);
      const cli = await createCli({ scheduling: questionsTo(state) });
      const input = objects.map((object) => JSON.stringify(object)).join('\n---\n');
      const result = await cli.run('simulate --apply -', { input });
      expect(JSON.stringify([...state.all()])).toBe(before);
      return result;
    };

    it('a quota that is full keeps pods away, with its own sentence', async () => {
      const state = world(quota({ pods: '4' }, { pods: '0' })); // nobody has counted since: two are there
      const { out } = await applying(state, deploymentManifest('other', { replicas: 4 }));
      expect(out).toMatch(/other-\(new 2\) +Deployment\/other +<none> +n\d\n/);
      expect(out).toMatch(
        /other-\(new 3\) +Deployment\/other +<none> +<none> +pods "other-\(new 3\)" is forbidden: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4\n/,
      );
      expect(out).toContain('pods "other-(new 4)" is forbidden');
      expect(out).toContain('0 would move, 2 would be placed, 2 would wait, 0 would be gone; nothing was changed');
    });

    it('pods that go make room in it for those that come', async () => {
      const state = world(quota({ pods: '2' }));
      const changed = { ...(deploymentManifest('web', { replicas: 2 }) as object), kind: 'ReplicaSet' };
      const { out } = await applying(state, changed);
      expect(out).toContain('0 would move, 2 would be placed, 0 would wait, 2 would be gone');
    });

    it('a quota that is applied holds what comes after it, and replacements', async () => {
      const applied = quota({ pods: '1' });
      const { uid: _uid, resourceVersion: _version, ...metadata } = applied.metadata;
      const { out } = await applying(world(), { ...applied, metadata }, deploymentManifest('other', { replicas: 1 }));
      expect(out).toContain('exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=1');
      const cli = await createCli({ scheduling: questionsTo(world(quota({ pods: '0' }))) });
      expect((await cli.run('simulate --kill n1')).out).toMatch(
        /web-a +ReplicaSet\/web +n1 +<none> +lost with node n1; pods "web-a" is forbidden: exceeded quota: team/,
      );
    });

    it('refuses what the API would refuse', async () => {
      const { err, code } = await applying(
        world(quota({ 'count/deployments.apps': '0' })),
        deploymentManifest('other', { replicas: 1 }),
      );
      expect(code).toBe(1);
      expect(err).toContain('deployments "other" is forbidden: exceeded quota: team');
      expect(err).toContain('ctl describe quota team -n default');
    });

    it('a limit range gives pods what they leave out, and keeps away what is too large', async () => {
      const containers = (cpu?: string) => ({
        containers: [{ name: 'main', image: 'busybox:1', ...(cpu && { resources: { requests: { cpu } } }) }],
      });
      const manifestOf = (cpu?: string) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'one' },
        spec: containers(cpu),
      });
      const { out } = await applying(world(range), manifestOf());
      expect(out).toMatch(/one +<none> +<none> +<none> +0\/3 nodes fit: 3 insufficient cpu\n/);
      const { err } = await applying(world(range), manifestOf('3600m'));
      expect(err).toContain('pods "one" is forbidden: [maximum cpu usage per Container is 3500m, but request is 3600m');
    });
  });
});
