import { describe, expect, it } from 'vitest';
import { pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { type Strategy, strategies } from '../../../../control-plane/scheduler/strategies.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Node, Pod } from '../../../../proto/gen/types.ts';
import { totalImbalance } from '../../../bench/scheduler-bound.ts';
import { refusal } from '../../../bench/scheduler-offline.ts';
import { makeNodes, shapedPods } from '../../../bench/scheduler-trace.ts';
import { node, pod } from './objects.ts';

const hostKey = 'kubernetes.io/hostname';
const without: readonly Strategy[] = strategies.map(({ name, picker }) => ({ name, picker }));

function placed(pods: readonly Pod[], nodes: readonly Node[], bound: readonly Pod[] = [], known = strategies): Pod[] {
  const { bindings } = schedule(pods, pictureOf(nodes, bound), {
    defaultStrategy: 'least-loaded',
    state: { random: seededRandom(1), lastTurn: '' },
    strategies: known,
  });
  return bindings.map((binding) => ({
    ...binding.pod,
    spec: { ...binding.pod.spec, nodeName: binding.node.metadata.name },
  }));
}

const whereabouts = (pods: readonly Pod[]): Record<string, string> =>
  Object.fromEntries(pods.map(({ metadata, spec }) => [metadata.name, spec.nodeName!]));

function labelled(entry: Pod): Pod {
  return { ...entry, metadata: { ...entry.metadata, labels: { app: entry.metadata.name } } };
}

const selecting = (app: string) => ({ labelSelector: { matchLabels: { app } } });
const host = (name: string, spec: Partial<Node['spec']> = {}): Node =>
  node(name, { labels: { [hostKey]: name, zone: `zone-of-${name}` }, spec });
const port = (hostPort: number): Pod['spec']['containers'] => [
  { name: 'main', image: 'busybox:1', ports: [{ containerPort: 80, hostPort }], resources: { requests: { cpu: '2' } } },
];

/** Two nodes that take pods, in two racks, and two more that do not. */
const racks = ['n1', 'n2', 'n3', 'n4'].map((name) =>
  node(name, {
    labels: { [hostKey]: name, rack: name === 'n1' || name === 'n3' ? 'r1' : 'r2' },
    spec: { unschedulable: name > 'n2' },
  }),
);

/** One after another a, b and c come to n1, n2 and n1; it would be even if b and c changed places. */
interface Situation {
  readonly nodes?: readonly Node[];
  readonly bound?: readonly Pod[];
  readonly further?: readonly Pod[];
  readonly a?: Partial<Pod['spec']>;
  readonly b?: Partial<Pod['spec']>;
  readonly c?: Partial<Pod['spec']>;
  readonly ownerOfB?: string;
  /** The node that was promised to b. */
  readonly nominated?: string;
}

function three({ nodes = [host('n1'), host('n2')], bound, further = [], a, b, c, ownerOfB, nominated }: Situation) {
  const pods = [
    pod('a', { cpu: '1', spec: a ?? {} }),
    promised(pod('b', { cpu: '1', spec: b ?? {}, ...(ownerOfB !== undefined && { owner: ownerOfB }) }), nominated),
    pod('c', { cpu: '2', spec: c ?? {} }),
    ...further,
  ].map(labelled);
  return { before: whereabouts(placed(pods, nodes, bound, without)), after: whereabouts(placed(pods, nodes, bound)) };
}

describe('pods of one pass', () => {
  it('change places when that evens out the nodes', () => {
    const { before, after } = three({});
    expect(before).toEqual({ a: 'n1', b: 'n2', c: 'n1' });
    expect(after).toEqual({ a: 'n1', b: 'n1', c: 'n2' });
  });

  const affinity = (spec: Pod['spec']['affinity']): Partial<Pod['spec']> => ({ affinity: spec! });
  const situations: Readonly<Record<string, Situation>> = {
    'one of them may not go there': { c: { nodeSelector: { [hostKey]: 'n1' } } },
    'one of them names its nodes': {
      c: affinity({
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] }],
          },
        },
      }),
    },
    'one of them would rather be where it is': {
      c: affinity({
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, preference: { matchExpressions: [{ key: hostKey, operator: 'In', values: ['n1'] }] } },
          ],
        },
      }),
    },
    'a soft taint speaks against it': {
      nodes: [host('n1'), host('n2', { taints: [{ key: 'soft', effect: 'PreferNoSchedule' }] })],
      b: { tolerations: [{ key: 'soft', operator: 'Exists' }] },
    },
    'one of them keeps away from who is there': {
      b: affinity({
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: hostKey, ...selecting('a') }],
        },
      }),
    },
    'who is there keeps one of them away': {
      a: affinity({
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: hostKey, ...selecting('b') }],
        },
      }),
    },
    'one of them would rather be far from who is there': {
      b: affinity({
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { topologyKey: hostKey, ...selecting('a') } },
          ],
        },
      }),
    },
    'the port is taken there': {
      bound: [pod('server', { spec: { nodeName: 'n2', containers: port(80).map(withoutRequests) } })],
      c: { containers: port(80) },
    },
    'a sibling is there': {
      ownerOfB: 'web',
      bound: [pod('b-0', { owner: 'web', spec: { nodeName: 'n1' } }), pod('x', { spec: { nodeName: 'n2' } })],
    },
    'somebody needs one of them where it is': {
      bound: ['n1', 'n2'].map((nodeName) =>
        pod(`needy-on-${nodeName}`, {
          spec: {
            nodeName,
            affinity: {
              podAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: hostKey, ...selecting('b') }],
              },
            },
          },
        }),
      ),
    },
    'room is being made for one of them': { nominated: 'n2', a: { priority: 2 }, b: { priority: 1 } },
    'one of them is to be even by racks': {
      nodes: racks,
      b: {
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: 'rack', whenUnsatisfiable: 'ScheduleAnyway', ...selecting('b') },
        ],
      },
    },
    'one of them would rather be in the rack of another': {
      nodes: racks,
      bound: [labelled(pod('friend', { spec: { nodeName: 'n4' } }))],
      a: { nodeSelector: { [hostKey]: 'n1' } },
      b: affinity({
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { topologyKey: 'rack', ...selecting('friend') } },
          ],
        },
      }),
    },
    'somebody would rather have one of them far from its rack': {
      nodes: racks,
      bound: [
        pod('foe', {
          spec: {
            nodeName: 'n3',
            affinity: {
              podAntiAffinity: {
                preferredDuringSchedulingIgnoredDuringExecution: [
                  { weight: 1, podAffinityTerm: { topologyKey: 'rack', ...selecting('b') } },
                ],
              },
            },
          },
        }),
      ],
    },
    'a constraint of others counts one of them by racks': {
      nodes: racks,
      further: [
        pod('d', {
          spec: {
            schedulerName: 'round-robin',
            topologySpreadConstraints: [
              { maxSkew: 1, topologyKey: 'rack', whenUnsatisfiable: 'ScheduleAnyway', ...selecting('b') },
            ],
          },
        }),
      ],
    },
    'somebody counts one of them by hosts': {
      further: [
        pod('d', {
          spec: {
            topologySpreadConstraints: [
              { maxSkew: 1, topologyKey: hostKey, whenUnsatisfiable: 'DoNotSchedule', ...selecting('b') },
            ],
          },
        }),
      ],
    },
    'somebody was refused': { further: [pod('d', { cpu: '64' })] },
    'the strategy does not ask for it': { c: { schedulerName: 'round-robin' } },
  };
  it.each(Object.entries(situations))('stay where they are when %s', (_, situation) => {
    const { before, after } = three(situation);
    expect(before).toMatchObject({ a: 'n1', b: 'n2', c: 'n1' });
    expect(after).toEqual(before);
  });

  it('break no constraint by it, and nobody leaves its zone or joins a replica', () => {
    const nodes = makeNodes(60);
    for (const [shapes, each] of [
      [40, 3],
      [100, 5],
      [150, 8],
    ] as const) {
      const pods = shapedPods(shapes, each);
      const [before, after] = [placed(pods, nodes, [], without), placed(pods, nodes)];
      expect(after.map(({ metadata }) => metadata.name)).toEqual(before.map(({ metadata }) => metadata.name));
      expect(refusal(nodes, before)).toBeUndefined();
      expect(refusal(nodes, after)).toBeUndefined();
      expect(zonesOf(after, nodes)).toEqual(zonesOf(before, nodes));
      expect(crowds(after)).toEqual(crowds(before));
      expect(totalImbalance(nodes, after)).toBeLessThan(totalImbalance(nodes, before));
    }
  });

  it('are placed the same way each time', () => {
    const [nodes, pods] = [makeNodes(60), shapedPods(100, 5)];
    expect(whereabouts(placed(pods, nodes))).toEqual(whereabouts(placed(pods, nodes)));
  });
});

function promised(entry: Pod, nominatedNodeName: string | undefined): Pod {
  return nominatedNodeName === undefined ? entry : { ...entry, status: { ...entry.status!, nominatedNodeName } };
}

function withoutRequests({ resources: _, ...container }: Pod['spec']['containers'][number]) {
  return container;
}

function zonesOf(pods: readonly Pod[], nodes: readonly Node[]): unknown[] {
  const zones = new Map(nodes.map(({ metadata }) => [metadata.name, metadata.labels!.zone]));
  return pods.map(({ spec }) => zones.get(spec.nodeName!));
}

/** How many replicas share their node with how many others, by workload. */
function crowds(pods: readonly Pod[]): unknown {
  const perNode = new Map<string, number>();
  for (const { metadata, spec } of pods) {
    const key = `${metadata.ownerReferences![0]!.uid} ${spec.nodeName}`;
    perNode.set(key, (perNode.get(key) ?? 0) + 1);
  }
  return [...perNode].map(([key, count]) => `${key.split(' ')[0]} ${count}`).sort();
}
