import { describe, expect, it } from 'vitest';
import { pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Node, Pod } from '../../../../proto/gen/types.ts';
import { imbalanceBound, totalImbalance } from '../../../bench/scheduler-bound.ts';
import { refusal, searchOffline } from '../../../bench/scheduler-offline.ts';
import { makeNodes, shapedPods } from '../../../bench/scheduler-trace.ts';
import { node, pod } from '../../control-plane/scheduler/objects.ts';

const hostKey = 'kubernetes.io/hostname';
const zoneKey = 'zone';

const on = (entry: Pod, nodeName: string): Pod => ({ ...entry, spec: { ...entry.spec, nodeName } });

function scheduled(nodes: readonly Node[], pods: readonly Pod[]): Pod[] {
  const { bindings } = schedule(pods, pictureOf(nodes, []), {
    defaultStrategy: 'least-loaded',
    state: { random: seededRandom(1), lastTurn: '' },
  });
  expect(bindings).toHaveLength(pods.length);
  return bindings.map((binding) => on(binding.pod, binding.node.metadata.name));
}

const host = (name: string, zone: string, cpu: string): Node =>
  node(name, { cpu, memory: '8Gi', labels: { [hostKey]: name, [zoneKey]: zone } });

/** Two nodes a zone, of different sizes, one of them tainted. */
const smallCluster = [
  host('n1', 'a', '4'),
  host('n2', 'a', '8'),
  host('n3', 'b', '4'),
  {
    ...host('n4', 'b', '8'),
    spec: { podCIDR: '10.42.0.0/24', taints: [{ key: 'db', effect: 'NoSchedule' as const }] },
  },
];

/** Seven pods: two apart by host, two even by zone, one beside one of those, two that may go anywhere. */
function smallPods(seed: number): Pod[] {
  const random = seededRandom(seed);
  const made = (app: string, index: number, spec: Partial<Pod['spec']>, size: number): Pod => {
    const shape = { cpu: `${size}m`, memory: `${Math.round(size / 3) + 100}Mi`, owner: app, spec };
    const entry = pod(`${app}-${index}`, shape);
    return { ...entry, metadata: { ...entry.metadata, labels: { app } } };
  };
  const size = (): number => 300 + Math.floor(random.next() * 1200);
  const selector = (app: string) => ({ labelSelector: { matchLabels: { app } } });
  const apart: Partial<Pod['spec']> = {
    tolerations: [{ key: 'db', operator: 'Exists' }],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: hostKey, ...selector('apart') }],
      },
    },
  };
  const even: Partial<Pod['spec']> = {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: zoneKey, whenUnsatisfiable: 'DoNotSchedule', ...selector('even') },
    ],
  };
  const beside: Partial<Pod['spec']> = {
    affinity: {
      podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: hostKey, ...selector('even') }] },
    },
  };
  const [apartSize, evenSize] = [size(), size()];
  return [
    ...[0, 1].map((index) => made('apart', index, apart, apartSize)),
    ...[0, 1].map((index) => made('even', index, even, evenSize)),
    made('near', 0, beside, size()),
    made('other', 0, {}, size()),
    made('other-tolerant', 0, { tolerations: [{ key: 'db', operator: 'Exists' }] }, size()),
  ];
}

/** The least imbalance of all placements that the scheduler's own checks accept. */
function bruteForce(nodes: readonly Node[], pods: readonly Pod[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let number = 0; number < nodes.length ** pods.length; number += 1) {
    const placed = pods.map((entry, index) => {
      const choice = Math.floor(number / nodes.length ** index) % nodes.length;
      return on(entry, nodes[choice]!.metadata.name);
    });
    const imbalance = totalImbalance(nodes, placed);
    if (imbalance < best && refusal(nodes, placed) === undefined) best = imbalance;
  }
  return best;
}

describe('the offline search', () => {
  it.each([1, 2, 3, 4, 5])(
    'finds what trying out everything finds (%i)',
    (seed) => {
      const pods = smallPods(seed);
      const found = searchOffline(smallCluster, scheduled(smallCluster, pods), { tries: 100_000, firstWorsening: 1 });
      expect(refusal(smallCluster, found)).toBeUndefined();
      const optimum = bruteForce(smallCluster, pods);
      expect(totalImbalance(smallCluster, found)).toBeCloseTo(optimum, 12);
      expect(imbalanceBound(smallCluster, pods)).toBeLessThanOrEqual(optimum);
    },
    60_000,
  );

  it('breaks no filter and no constraint, and stays between the bound and where it began', () => {
    const [nodes, pods] = [makeNodes(60), shapedPods(100, 5)];
    const before = scheduled(nodes, pods);
    const after = searchOffline(nodes, before, { tries: 1_000_000 });
    expect(after.map(({ metadata }) => metadata.name)).toEqual(before.map(({ metadata }) => metadata.name));
    expect(refusal(nodes, after)).toBeUndefined();
    expect(totalImbalance(nodes, after)).toBeLessThan(totalImbalance(nodes, before));
    expect(totalImbalance(nodes, after)).toBeGreaterThanOrEqual(imbalanceBound(nodes, pods));
  });

  it('fills no node beyond what it has', () => {
    const nodes = [host('n1', 'a', '1'), host('n2', 'a', '64')];
    const pods = Array.from({ length: 6 }, (_, index) =>
      pod(`p-${index}`, { cpu: `${300 + index}m`, owner: `o-${index}` }),
    );
    const start = pods.map((entry) => on(entry, 'n2'));
    const found = searchOffline(nodes, start, { tries: 10_000 });
    expect(refusal(nodes, found)).toBeUndefined();
  });

  it('gives the same for the same seed', () => {
    const nodes = makeNodes(30);
    const before = scheduled(nodes, shapedPods(40, 3));
    const search = () => searchOffline(nodes, before, { tries: 50_000, seed: 7 });
    expect(search()).toEqual(search());
  });
});

describe('the check of a placement', () => {
  it('says what is wrong with it', () => {
    const [one, two] = smallPods(1) as [Pod, Pod];
    expect(refusal(smallCluster, [on(one, 'n1'), on(two, 'n2')])).toBeUndefined();
    expect(refusal(smallCluster, [on(one, 'n1'), on(two, 'n1')])).toContain('anti-affinity');
    const small = [host('n1', 'a', '1')];
    expect(refusal(small, [on(pod('big', { cpu: '2' }), 'n1')])).toBe('big on n1: insufficient cpu');
  });
});
