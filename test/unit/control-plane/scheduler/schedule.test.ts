import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verdicts } from '../../../../control-plane/scheduler/explain.ts';
import { pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { requestsOf } from '../../../../control-plane/scheduler/requests.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { type StrategyName, strategyNames } from '../../../../control-plane/scheduler/strategies.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Node, Pod } from '../../../../proto/gen/types.ts';
import { type NodeShape, node, type PodShape, pod } from './objects.ts';

function place(
  pending: readonly Pod[],
  nodes: readonly Node[],
  strategy: StrategyName = 'least-loaded',
  bound: readonly Pod[] = [],
) {
  return schedule(pending, pictureOf(nodes, bound), {
    defaultStrategy: strategy,
    state: { random: seededRandom(1), lastTurn: '' },
  });
}

const nodesOf = (decision: ReturnType<typeof place>): string[] =>
  decision.bindings.map((binding) => binding.node.metadata.name);

const replicas = (count: number, shape: PodShape = {}): Pod[] =>
  Array.from({ length: count }, (_, i) => pod(`web-${String(i).padStart(3, '0')}`, { owner: 'rs', ...shape }));

describe('why a pod waits', () => {
  const cases: readonly [string, PodShape, NodeShape, string][] = [
    ['readiness', {}, { ready: false }, '0/1 nodes fit: 1 not ready'],
    ['cordon', {}, { spec: { unschedulable: true } }, '0/1 nodes fit: 1 cordoned'],
    ['cpu', { cpu: '5' }, {}, '0/1 nodes fit: 1 insufficient cpu'],
    ['memory', { memory: '9Gi' }, {}, '0/1 nodes fit: 1 insufficient memory'],
    ['pod count', {}, { pods: '0' }, '0/1 nodes fit: 1 too many pods'],
    ['selector', { spec: { nodeSelector: { disk: 'ssd' } } }, {}, '0/1 nodes fit: 1 without label disk=ssd'],
    [
      'taint',
      {},
      { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } },
      '0/1 nodes fit: 1 with untolerated taint gpu=yes:NoSchedule',
    ],
  ];
  it.each(cases)('%s', (_name, podShape, nodeShape, message) => {
    const decision = place([pod('a', podShape)], [node('n1', nodeShape)]);
    expect(decision.bindings).toEqual([]);
    expect(decision.unschedulable.map((entry) => entry.message)).toEqual([message]);
  });

  it('a node that is back, though somebody declared it out of service: the way back is named, of each node alone', () => {
    const taint = { key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' as const };
    const back = node('n1', { spec: { taints: [taint] } });
    const summary = '0/1 nodes fit: 1 with untolerated taint node.kubernetes.io/out-of-service=nodeshutdown:NoExecute';
    expect(place([pod('a')], [back]).unschedulable.map(({ message }) => message)).toEqual([summary]);
    const reason =
      'with untolerated taint node.kubernetes.io/out-of-service=nodeshutdown:NoExecute: ' +
      'it is back, and was declared out of service; withdraw that with: ctl node in-service n1';
    expect(verdicts(pod('a'), pictureOf([back], []))).toEqual([{ nodeName: 'n1', reason }]);
    const lost = node('n1', { ready: false, spec: { taints: [taint] } });
    expect(verdicts(pod('a'), pictureOf([lost], []))).toEqual([{ nodeName: 'n1', reason: 'not ready' }]);
  });

  it('a node on its way out', () => {
    const leaving = node('n1');
    leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    const decision = place([pod('a')], [leaving]);
    expect(decision.unschedulable.map((entry) => entry.message)).toEqual(['0/1 nodes fit: 1 being deleted']);
  });

  it.each([
    ['DiskPressure', {}, 'under disk pressure'],
    ['PIDPressure', {}, 'under process id pressure'],
    ['MemoryPressure', {}, 'under memory pressure'],
    ['MemoryPressure', { memory: '1Mi' }, undefined],
  ] as const)('%s, pod %j', (type, shape, reason) => {
    const pressed = node('n1');
    pressed.status!.conditions!.push({ type, status: 'True' });
    const decision = place([pod('a', shape)], [pressed]);
    const message = reason && `0/1 nodes fit: 1 ${reason}`;
    expect(decision.unschedulable.map((entry) => entry.message)).toEqual(message ? [message] : []);
  });

  it('counts nodes by reason, the most frequent first', () => {
    const nodes = [
      node('n1', { memory: '1Gi' }),
      node('n2', { spec: { unschedulable: true } }),
      node('n3', { memory: '1Gi' }),
    ];
    const decision = place([pod('a', { memory: '2Gi' })], nodes);
    expect(decision.unschedulable[0]!.message).toBe('0/3 nodes fit: 2 insufficient memory, 1 cordoned');
  });

  it('is not for a cordon that the pod tolerates, as those of DaemonSets do', () => {
    const tolerations = [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' as const }];
    const decision = place([pod('a', { spec: { tolerations } })], [node('n1', { spec: { unschedulable: true } })]);
    expect(decision.bindings).toHaveLength(1);
  });

  it('says so when there are no nodes', () => {
    expect(place([pod('a')], []).unschedulable[0]!.message).toMatch(/no nodes; join one/);
  });

  it('a host port is taken once per node', () => {
    const spec = { containers: [{ name: 'm', image: 'i', ports: [{ containerPort: 80, hostPort: 8080 }] }] };
    const decision = place([pod('a', { spec }), pod('b', { spec })], [node('n1')]);
    expect(nodesOf(decision)).toEqual(['n1']);
    expect(decision.unschedulable[0]!.message).toBe('0/1 nodes fit: 1 with host port 8080 taken');
  });
});

describe('tolerations', () => {
  const tainted = node('n1', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } });
  it.each([
    ['equal', { key: 'gpu', value: 'yes', effect: 'NoSchedule' as const }, true],
    ['other value', { key: 'gpu', value: 'no' }, false],
    ['exists', { key: 'gpu', operator: 'Exists' as const }, true],
    ['everything', { operator: 'Exists' as const }, true],
    ['other effect', { key: 'gpu', operator: 'Exists' as const, effect: 'NoExecute' as const }, false],
  ])('%s', (_name, toleration, fits) => {
    expect(place([pod('a', { spec: { tolerations: [toleration] } })], [tainted]).bindings).toHaveLength(fits ? 1 : 0);
  });
});

describe('strategies', () => {
  const three = [node('n1'), node('n2'), node('n3')];

  it('least-loaded spreads the replicas of a workload before it looks at load', () => {
    const busy = pod('busy', { cpu: '3', spec: { nodeName: 'n1' } });
    const decision = place(replicas(3, { cpu: '100m' }), three, 'least-loaded', [busy]);
    expect(nodesOf(decision).sort()).toEqual(['n1', 'n2', 'n3']);
  });

  it('least-loaded puts a single pod on the emptiest node', () => {
    const bound = [pod('x', { cpu: '2', spec: { nodeName: 'n1' } }), pod('y', { cpu: '1', spec: { nodeName: 'n2' } })];
    expect(nodesOf(place([pod('a', { cpu: '1' })], three, 'least-loaded', bound))).toEqual(['n3']);
  });

  it('bin-pack fills one node before the next', () => {
    expect(nodesOf(place(replicas(5, { cpu: '1' }), three, 'bin-pack'))).toEqual(['n1', 'n1', 'n1', 'n1', 'n2']);
  });

  it('round-robin goes in the order of names and skips nodes that are full', () => {
    const nodes = [node('n1'), node('n2', { cpu: '1' }), node('n3')];
    expect(nodesOf(place(replicas(6, { cpu: '1' }), nodes, 'round-robin'))).toEqual([
      'n1',
      'n2',
      'n3',
      'n1',
      'n3',
      'n1',
    ]);
  });

  it('round-robin carries its turn from one workload and pass to the next', () => {
    const state = { random: seededRandom(1), lastTurn: '' };
    const one = (name: string): string => {
      const options = { defaultStrategy: 'round-robin' as const, state };
      return schedule([pod(name)], pictureOf(three, []), options).bindings[0]!.node.metadata.name;
    };
    expect(['a', 'b', 'c', 'd'].map(one)).toEqual(['n1', 'n2', 'n3', 'n1']);
  });

  it('random uses every node in the long run, and the same ones for the same seed', () => {
    const first = nodesOf(place(replicas(60), three, 'random'));
    expect(new Set(first).size).toBe(3);
    expect(nodesOf(place(replicas(60), three, 'random'))).toEqual(first);
  });

  it('spec.schedulerName overrides the cluster default', () => {
    const pods = replicas(3, { cpu: '1', spec: { schedulerName: 'bin-pack' } });
    expect(nodesOf(place(pods, three, 'least-loaded'))).toEqual(['n1', 'n1', 'n1']);
  });

  it.each(strategyNames)('%s avoids PreferNoSchedule nodes while others fit', (strategy) => {
    const nodes = [
      node('n1', { spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } }),
      node('n2', { cpu: '1' }),
    ];
    expect(nodesOf(place(replicas(1, { cpu: '1' }), nodes, strategy))).toEqual(['n2']);
  });
});

describe('whatever the pods, nodes and strategy', () => {
  const cpus = fc.constantFrom('100m', '500m', '1', '2', '3');
  const arbitrary = fc.record({
    strategy: fc.constantFrom(...strategyNames),
    nodes: fc.array(fc.record({ cpu: fc.constantFrom('1', '2', '4'), pods: fc.constantFrom('2', '110') }), {
      maxLength: 8,
    }),
    pods: fc.array(fc.record({ cpu: cpus, owner: fc.constantFrom('a', 'b', 'c') }), { maxLength: 40 }),
  });

  it('no node is overcommitted, every pod is answered once, and a refused pod really fits nowhere', () => {
    fc.assert(
      fc.property(arbitrary, ({ strategy, nodes: shapes, pods: podShapes }) => {
        const nodes = shapes.map((shape, i) => node(`n${i}`, shape));
        const pods = podShapes.map((shape, i) => pod(`p${i}`, shape));
        const decision = place(pods, nodes, strategy);
        const answered = [...decision.bindings, ...decision.unschedulable].map((entry) => entry.pod.metadata.name);
        expect(answered.sort()).toEqual(pods.map((entry) => entry.metadata.name).sort());
        const bound = decision.bindings.map((binding) => ({
          ...binding.pod,
          spec: { ...binding.pod.spec, nodeName: binding.node.metadata.name },
        }));
        for (const info of pictureOf(nodes, bound).infos) {
          expect(info.requestedCpuMillis).toBeLessThanOrEqual(info.allocatable.cpuMillis);
          expect(info.podCount).toBeLessThanOrEqual(info.allocatable.pods);
          for (const { pod: refused } of decision.unschedulable) {
            const cpuFits = info.requestedCpuMillis + requestsOf(refused).cpuMillis <= info.allocatable.cpuMillis;
            expect(cpuFits && info.podCount < info.allocatable.pods).toBe(false);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('least-loaded keeps the replicas of one workload within one of each other on equal empty nodes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 60 }), (nodeCount, podCount) => {
        const nodes = Array.from({ length: nodeCount }, (_, i) => node(`n${i}`));
        const chosen = nodesOf(place(replicas(podCount, { cpu: '10m' }), nodes));
        const counts = nodes.map((entry) => chosen.filter((name) => name === entry.metadata.name).length);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
