import { describe, expect, it } from 'vitest';
import { nodeLifecycleController } from '../../../../control-plane/controllers/node-lifecycle/controller.ts';
import { Pauses } from '../../../../control-plane/controllers/node-lifecycle/disruption.ts';
import {
  reconcileNode,
  removePodsOfMissingNode,
  type SessionKnowledge,
} from '../../../../control-plane/controllers/node-lifecycle/reconcile.ts';
import { leaveAtMs, taintsFor } from '../../../../control-plane/controllers/node-lifecycle/taints.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { timestamp } from '../../../../lib/clock.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { isPodReady } from '../../../../lib/model/pods.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Condition, KubeObject, Node, Pod, Taint, Toleration } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');

function node(name: string, ready: Condition['status'], lostMsAgo = 0, taints: readonly Taint[] = []): Node {
  const lastTransitionTime = timestamp(nowMs - lostMsAgo);
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: `uid-${name}`, resourceVersion: '1' },
    spec: { ...(taints.length > 0 && { taints: [...taints] }) },
    status: { conditions: [{ type: 'Ready', status: ready, lastTransitionTime }] },
  };
}

function pod(name: string, tolerations: Toleration[] = [], nodeName = 'n1'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '1' },
    spec: { nodeName, tolerations, containers: [{ name: 'main', image: 'echo' }] },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(nowMs) }] },
  };
}

/** Lost long ago, if the store says that it is lost. */
const inSession = { evictionsPaused: () => false, lostForMs: 3_600_000 };

const ready = (count: number): Node[] =>
  Array.from({ length: count }, (_, index) => node(`r${index}`, 'True', 3_600_000));

describe('the taints of a node', () => {
  const own = (key: string): Taint[] => [
    { key, effect: 'NoSchedule', timeAdded: timestamp(nowMs) },
    { key, effect: 'NoExecute', timeAdded: timestamp(nowMs) },
  ];
  const custom: Taint = { key: 'gpu', value: 'yes', effect: 'NoSchedule' };

  it('follow its Ready condition and leave those of others alone', () => {
    expect(taintsFor(node('n1', 'True'), nowMs)).toEqual([]);
    expect(taintsFor(node('n1', 'Unknown', 0, [custom]), nowMs)).toEqual([
      custom,
      ...own('node.kubernetes.io/unreachable'),
    ]);
    expect(taintsFor(node('n1', 'False'), nowMs)).toEqual(own('node.kubernetes.io/not-ready'));
    const recovered = node('n1', 'True', 0, [...own('node.kubernetes.io/unreachable'), custom]);
    expect(taintsFor(recovered, nowMs)).toEqual([custom]);
  });

  it("say when a client's NoExecute taint was first seen, so that tolerationSeconds come to an end", () => {
    const drain: Taint = { key: 'maintenance', effect: 'NoExecute' };
    const [seen] = taintsFor(node('n1', 'True', 0, [drain]), nowMs);
    expect(seen).toEqual({ ...drain, timeAdded: timestamp(nowMs) });
    const patient = pod('p', [{ key: 'maintenance', operator: 'Exists', tolerationSeconds: 60 }]);
    const later = taintsFor(node('n1', 'True', 0, [seen!]), nowMs + 60_000);
    expect(leaveAtMs(patient, later, nowMs + 60_000)).toBe(nowMs + 60_000);
  });

  it('keep their time while they last', () => {
    const old = own('node.kubernetes.io/unreachable').map((taint) => ({
      ...taint,
      timeAdded: timestamp(nowMs - 60_000),
    }));
    expect(taintsFor(node('n1', 'Unknown', 60_000, old), nowMs)).toEqual(old);
  });
});

describe('how long a pod bears a NoExecute taint', () => {
  const taint = (key: string): Taint => ({ key, effect: 'NoExecute', timeAdded: timestamp(nowMs) });
  const unreachable = 'node.kubernetes.io/unreachable';
  it.each<[string, Toleration[], string, number | undefined]>([
    ['without a toleration of a lost node: not at all', [], unreachable, 0],
    ['without a toleration of a node that is not well: a little', [], 'node.kubernetes.io/not-ready', 30],
    ['without a toleration of any other taint: not at all', [], 'maintenance', 0],
    ['for its seconds', [{ key: unreachable, operator: 'Exists', tolerationSeconds: 60 }], unreachable, 60],
    ['for ever', [{ key: unreachable, operator: 'Exists' }], unreachable, undefined],
    ['whatever it is', [{ operator: 'Exists' }], 'maintenance', undefined],
    ['not with another value', [{ key: 'maintenance', value: 'soon' }], 'maintenance', 0],
    ['not with another effect', [{ key: unreachable, operator: 'Exists', effect: 'NoSchedule' }], unreachable, 0],
    [
      'for the least of several',
      [
        { key: unreachable, operator: 'Exists', tolerationSeconds: 60 },
        { operator: 'Exists', tolerationSeconds: 20 },
      ],
      unreachable,
      20,
    ],
  ])('%s', (_name, tolerations, key, seconds) => {
    const wanted = seconds === undefined ? undefined : nowMs + seconds * 1000;
    expect(leaveAtMs(pod('a', tolerations), [taint(key)], nowMs)).toBe(wanted);
  });

  it('minds no other effect', () => {
    expect(leaveAtMs(pod('a'), [{ key: 'x', effect: 'NoSchedule' }], nowMs)).toBeUndefined();
  });
});

const whyHeld = (lost: Node, nodes: readonly Node[], paused: () => boolean, atMs: number): string | undefined =>
  new Pauses().why(lost, nodes, paused, atMs);

describe('the pause of evictions', () => {
  it.each<[string, Node[], number, boolean]>([
    ['one of two lost', [node('n1', 'Unknown')], 1, false],
    ['the only one lost', [node('n1', 'Unknown')], 0, false],
    ['one of three lost', [node('n1', 'Unknown')], 2, false],
    ['two of three lost together', [node('n1', 'Unknown'), node('n2', 'Unknown', 2000)], 1, true],
    ['two of three lost one after the other', [node('n1', 'Unknown'), node('n2', 'Unknown', 60_000)], 1, false],
    ['two of four lost together', [node('n1', 'Unknown'), node('n2', 'Unknown', 1000)], 2, false],
  ])('%s', (_name, lost, others, paused) => {
    const nodes = [...lost, ...ready(others)];
    expect(whyHeld(lost[0]!, nodes, () => false, nowMs) !== undefined).toBe(paused);
  });

  it('says which nodes and what to do', () => {
    const nodes = [node('n1', 'Unknown'), node('n2', 'Unknown'), node('n3', 'True', 60_000)];
    expect(whyHeld(nodes[0]!, nodes, () => false, nowMs)).toMatch(
      /^2 of 3 nodes were lost together \(n1, n2\): .*delete the node$/,
    );
  });

  it.each<[string, Node, boolean]>([
    ['goes on while nodes lost with it are coming back', node('n2', 'True', 3000), true],
    ['ends when they have been back for a while', node('n2', 'True', 12_000), false],
    ['does not begin because of a node that came back before', node('n2', 'True', 40_000), false],
    [
      'does not begin because of a new node',
      { ...node('n2', 'True', 3000), metadata: { name: 'n2', creationTimestamp: timestamp(nowMs - 5000) } },
      false,
    ],
  ])('%s', (_name, other, paused) => {
    const lost = node('n1', 'Unknown', 30_000);
    expect(whyHeld(lost, [lost, other, ...ready(1)], () => false, nowMs) !== undefined).toBe(paused);
  });

  it('goes on when the others were back within the second in which they were lost', () => {
    const lost = node('n1', 'Unknown', 5_000);
    expect(whyHeld(lost, [lost, node('n2', 'True', 5_000), ...ready(1)], () => false, nowMs)).toBeDefined();
  });

  it('also comes from the sessions', () => {
    expect(whyHeld(node('n1', 'Unknown'), [node('n1', 'Unknown'), ...ready(5)], () => true, nowMs)).toMatch(/silent/);
  });

  it('does not count nodes that never were in session', () => {
    const joining = node('n2', 'Unknown');
    joining.status!.conditions![0]!.reason = 'NodeStatusNeverUpdated';
    expect(
      whyHeld(node('n1', 'Unknown'), [node('n1', 'Unknown'), joining, ...ready(1)], () => false, nowMs),
    ).toBeUndefined();
  });
});

describe('a lost node', () => {
  const reconcile = (subject: Node, ...objects: KubeObject[]) => {
    const state = new MutableClusterState();
    state.replace(
      [subject, ...objects].map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    return reconcileNode(state, subject, nowMs, inSession);
  };

  it('is tainted, and its pods are unready and going, in one transaction', () => {
    const { changes } = reconcile(node('n1', 'Unknown'), pod('a'), ...ready(1));
    expect(changes.map(({ type, object }) => [type, object.kind])).toEqual([
      ['update', 'Node'],
      ['update', 'Pod'],
    ]);
    expect(changes[1]?.object).toMatchObject({
      metadata: { deletionTimestamp: timestamp(nowMs), deletionGracePeriodSeconds: 30 },
      status: { conditions: [{ type: 'Ready', status: 'False', reason: 'NodeNotReady' }] },
    });
  });

  it('touches no pod of a node that is merely not well, and looks again when they must leave', () => {
    const { changes, requeueAfterMs } = reconcile(node('n1', 'False'), pod('a'), ...ready(1));
    expect(changes.map(({ object }) => object.kind)).toEqual(['Node']);
    expect(requeueAfterMs).toBe(30_000);
  });

  it('says once a minute that evictions are paused', () => {
    const lost = node('n1', 'Unknown', 5000);
    const { events } = reconcile(lost, node('n2', 'Unknown', 5000), pod('a'));
    expect(events).toMatchObject([{ reason: 'EvictionsPaused', type: 'Warning' }]);
    const said: KubeObject = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'said', namespace: 'default' },
      involvedObject: { uid: 'uid-n1' },
      reason: 'EvictionsPaused',
      message: events![0]!.message,
      lastTimestamp: timestamp(nowMs - 30_000),
    };
    expect(reconcile(lost, node('n2', 'Unknown', 5000), pod('a'), said).events).toEqual([]);
    const longAgo = { ...said, lastTimestamp: timestamp(nowMs - 90_000) };
    expect(reconcile(lost, node('n2', 'Unknown', 5000), pod('a'), longAgo).events).toHaveLength(1);
  });
});

describe('pods that must not run twice', () => {
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-db', controller: true };
  const member = (name: string, tolerations?: Toleration[]): Pod => {
    const plain = pod(name, tolerations);
    return { ...plain, metadata: { ...plain.metadata, ownerReferences: [owner] } };
  };
  const outOfService: Taint = { key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' };
  const stateOf = (objects: readonly KubeObject[]): MutableClusterState => {
    const state = new MutableClusterState();
    state.replace(
      objects.map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    return state;
  };
  const turn = (
    lost: Node,
    pods: readonly Pod[],
    knowledge: SessionKnowledge = inSession,
    others: readonly Node[] = ready(3),
  ) => {
    const state = stateOf([lost, ...others, ...pods]);
    const { changes, events = [], requeueAfterMs } = reconcileNode(state, lost, nowMs, knowledge);
    const of = (type: string): string[] =>
      changes
        .filter((change) => change.type === type && change.object.kind === 'Pod')
        .map(({ object }) => object.metadata.name);
    const going = changes
      .filter(({ object }) => object.metadata.deletionTimestamp)
      .map(({ object }) => object.metadata.name);
    const writesNode = changes.some(({ type, object }) => type === 'update' && object.kind === 'Node');
    const reasons = events.map(({ reason }) => reason);
    return { removed: of('remove'), updated: of('update'), going, reasons, writesNode, requeueAfterMs };
  };
  const tainted = (status: Condition['status'] = 'Unknown'): Node =>
    node('n1', status, 60_000, taintsFor(node('n1', status), nowMs - 60_000));
  const stopAfter = (name: string, seconds = 10, tolerations?: Toleration[]): Pod => {
    const strict = member(name, tolerations);
    const annotations = { 'gantry.dev/fencing': 'stop-after', 'gantry.dev/stop-after-seconds': `${seconds}` };
    return { ...strict, metadata: { ...strict.metadata, annotations } };
  };
  const taintsWithTime = (one: Node): Node => ({ ...one, spec: { ...one.spec, taints: [...taintsFor(one, nowMs)] } });
  const lostFor = (lostForMs: number | undefined): SessionKnowledge => ({ evictionsPaused: () => false, lostForMs });

  it('with stop-after are removed when their node has stopped them for certain, and only they', () => {
    const pods = [member('db-0'), stopAfter('db-1'), stopAfter('db-2', 60)];
    const early = turn(tainted(), pods, lostFor(12_499));
    expect(early).toMatchObject({ removed: [], going: [], writesNode: false, requeueAfterMs: 250 });
    const result = turn(tainted(), pods, lostFor(12_500));
    expect(result).toMatchObject({ removed: ['db-1'], going: [], requeueAfterMs: 52_500 });
    expect(result.reasons).toContain('NodeLost');
  });

  it('are removed only upon this look at the node: a session that opened meanwhile makes it void', () => {
    expect(turn(tainted(), [stopAfter('db-1')], lostFor(60_000)).writesNode).toBe(true);
    const declared = node('n1', 'Unknown', 60_000, [...tainted().spec.taints!, outOfService]);
    expect(turn(taintsWithTime(declared), [member('db-0')])).toMatchObject({ removed: ['db-0'], writesNode: true });
    expect(turn(tainted(), [pod('web')], lostFor(60_000)).writesNode).toBe(false);
  });

  it('stay while a session of their node is open, or the leader has not judged for itself yet', () => {
    const result = turn(tainted(), [stopAfter('db-1')], lostFor(undefined));
    expect(result).toMatchObject({ removed: [], requeueAfterMs: 12_500 });
    const declared = taintsWithTime(node('n1', 'Unknown', 60_000, [...tainted().spec.taints!, outOfService]));
    expect(turn(declared, [member('db-0')], lostFor(undefined))).toMatchObject({ removed: [], requeueAfterMs: 250 });
  });

  it('with stop-after stay while evictions are paused, as long as they tolerate it, and on a node that is only not well', () => {
    const paused = { evictionsPaused: () => true, lostForMs: 60_000 };
    expect(turn(tainted(), [stopAfter('db-1')], paused)).toMatchObject({ removed: [] });
    const faithful = { key: 'node.kubernetes.io/unreachable', operator: 'Exists' as const };
    expect(turn(tainted(), [stopAfter('db-1', 10, [faithful])])).toMatchObject({ removed: [] });
    const patient = { ...faithful, tolerationSeconds: 100 };
    expect(turn(tainted(), [stopAfter('db-1', 10, [patient])])).toMatchObject({ removed: [], requeueAfterMs: 40_000 });
    expect(turn(tainted('False'), [stopAfter('db-1')])).toMatchObject({ removed: [], going: ['db-1'] });
  });

  it('with stop-after go from a lost node also when somebody has deleted them already, not when they have ended', () => {
    const marked = stopAfter('db-1');
    const deleting = { ...marked, metadata: { ...marked.metadata, deletionTimestamp: timestamp(nowMs) } };
    const ended = { ...stopAfter('db-2'), status: { phase: 'Failed' as const } };
    expect(turn(tainted(), [deleting, ended]).removed).toEqual(['db-1']);
  });

  it('stay on a lost node, unready, with a word about what to do', () => {
    const result = turn(node('n1', 'Unknown', 60_000), [member('db-0'), pod('web')]);
    expect(result.going).toEqual(['web']);
    expect(result.updated.sort()).toEqual(['db-0', 'web']);
    expect(result.reasons.sort()).toEqual(['Fenced', 'TaintManagerEviction']);
  });

  it('stay while most of the nodes are silent, unready: at once in a small cluster, in turns in a large one', () => {
    const paused = { evictionsPaused: () => true, lostForMs: 60_000 };
    const lost = (lostMsAgo: number): Node => taintsWithTime(node('n1', 'Unknown', lostMsAgo));
    const few = turn(lost(1_000), [pod('web')], paused);
    expect(few).toMatchObject({ updated: ['web'], going: [], removed: [], requeueAfterMs: 1_008 });
    expect(few.reasons).toContain('EvictionsPaused');
    const many = (lostMsAgo: number) => turn(lost(lostMsAgo), [pod('web')], paused, ready(999));
    expect(many(0).updated).toEqual([]);
    expect(many(50_000)).toMatchObject({ updated: ['web'], requeueAfterMs: 3_000 });
  });

  it('leave it when their own toleration ends', () => {
    const patient = { key: 'node.kubernetes.io/unreachable', operator: 'Exists' as const, tolerationSeconds: 30 };
    const taints = taintsFor(node('n1', 'Unknown'), nowMs - 60_000);
    expect(turn(node('n1', 'Unknown', 60_000, taints), [member('db-0', [patient])]).going).toEqual(['db-0']);
  });

  it('are removed with all others when the lost node is out of service, not while it lives', () => {
    const bearing = pod('agent', [{ operator: 'Exists' }]);
    const leaving = {
      ...member('db-1'),
      metadata: { ...member('db-1').metadata, deletionTimestamp: timestamp(nowMs) },
    };
    const pods = [member('db-0'), leaving, pod('web'), bearing];
    const declared = turn(node('n1', 'Unknown', 60_000, [outOfService]), pods);
    expect(declared.removed.sort()).toEqual(['db-0', 'db-1', 'web']);
    const alive = turn(node('n1', 'True', 60_000, [outOfService]), pods);
    expect(alive).toMatchObject({ removed: [] });
    expect(alive.going.sort()).toEqual(['db-0', 'web']);
  });

  it('wait for a person when their node is gone from the books', () => {
    const finished = { ...member('db-9'), status: { phase: 'Succeeded' as const } };
    const { changes } = removePodsOfMissingNode(stateOf([member('db-0'), finished, pod('web')]), 'n1', nowMs);
    expect(changes.map(({ object }) => object.metadata.name).sort()).toEqual(['db-9', 'web']);
    const { changes: left, events } = removePodsOfMissingNode(stateOf([member('db-0')]), 'n1', nowMs);
    expect(left.map(({ type, object }) => [type, object.metadata.name, isPodReady(object as Pod)])).toEqual([
      ['update', 'db-0', false],
    ]);
    const message =
      'Node n1 no longer exists: pod db-0 must not run twice, and may still run on the machine that was node n1; ' +
      'when that machine is down for certain: ctl delete pod db-0 -n default --force';
    expect(events?.map((event) => event.message)).toEqual([message]);
    const told = left[0]!.object as Pod;
    expect(told.status?.conditions).toMatchObject([{ type: 'Ready', status: 'False', reason: 'NodeDeleted', message }]);
    expect(removePodsOfMissingNode(stateOf([told]), 'n1', nowMs)).toEqual({ changes: [], events: [] });
    const never = { ...member('db-1'), status: { phase: 'Pending' as const } };
    expect(removePodsOfMissingNode(stateOf([never]), 'n1', nowMs).events).toHaveLength(1);
  });
});

describe('the memory of pauses', () => {
  it('holds nodes back for half a second without another look, and never lets one go without', () => {
    const lost = [node('n1', 'Unknown', 5_000), node('n2', 'Unknown', 5_000)];
    let looks = 0;
    const counted = (list: readonly Node[]): readonly Node[] =>
      new Proxy([...list], {
        get(target, property, receiver) {
          if (property === '0') looks += 1;
          return Reflect.get(target, property, receiver);
        },
      });
    const pauses = new Pauses();
    const why = (list: readonly Node[], atMs: number) => {
      looks = 0;
      return [pauses.why(lost[0]!, counted(list), () => false, atMs) !== undefined, looks > 0];
    };
    expect(why(lost, nowMs)).toEqual([true, true]);
    expect(why([...lost, ...ready(8)], nowMs + 499)).toEqual([true, false]);
    expect(why([...lost, ...ready(8)], nowMs + 500)).toEqual([false, true]);
    expect(why(lost, nowMs + 501)).toEqual([true, true]);
  });

  it('follows nodes that change, come and go as if it had looked at them for the first time', () => {
    const random = seededRandom(11);
    const pauses = new Pauses();
    let nodes: Node[] = ready(8);
    let held = 0;
    for (let step = 0; step < 600; step += 1) {
      const index = Math.floor(random.next() * nodes.length);
      const agoMs = Math.floor(random.next() * 15) * 1_000;
      const other = node(nodes[index]!.metadata.name, random.next() < 0.6 ? 'Unknown' : 'True', agoMs);
      if (random.next() < 0.1 && nodes.length > 4) nodes = nodes.filter((_, at) => at !== index);
      else if (random.next() < 0.1) nodes = [...nodes, node(`n${step}`, 'Unknown', agoMs)];
      else nodes = nodes.map((one, at) => (at === index ? other : one));
      const lost = nodes.find(({ status }) => status?.conditions?.[0]?.status === 'Unknown');
      if (!lost) continue;
      const atMs = nowMs + step * 500; // what is remembered is over by then
      const why = pauses.why(lost, nodes, () => false, atMs);
      expect(why).toBe(whyHeld(lost, nodes, () => false, atMs));
      if (why !== undefined) held += 1;
    }
    expect(held).toBeGreaterThan(50);
  });
});

describe('what a change calls for', () => {
  const controller = nodeLifecycleController({ evictionsPaused: () => false, lostForMs: () => undefined });

  it('is a look at the node that changed, however many others are lost', () => {
    const nodes = ['n1', 'n2', 'n3'].map((name) => node(name, 'Unknown', 1_000));
    const state = new MutableClusterState();
    state.replace(
      nodes.map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    for (const object of nodes) {
      expect([...controller.keysOf({ key: keyOf(object), object }, state)]).toEqual([keyOf(object)]);
    }
  });

  it('is a look at the node of a pod when the node is lost, tainted or gone', () => {
    const taint: Taint = { key: 'maintenance', effect: 'NoExecute' };
    const nodes = [node('well', 'True'), node('lost', 'Unknown'), node('tainted', 'True', 0, [taint])];
    const state = new MutableClusterState();
    state.replace(
      nodes.map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    const keysFor = (nodeName: string): string[] => {
      const object = pod('p', [], nodeName);
      return [...controller.keysOf({ key: keyOf(object), object }, state)];
    };
    expect(keysFor('well')).toEqual([]);
    for (const name of ['lost', 'tainted', 'gone']) expect(keysFor(name)).toEqual([`/gantry/nodes/${name}`]);
  });
});
