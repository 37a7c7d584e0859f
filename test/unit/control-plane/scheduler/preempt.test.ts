/** Who must go for a pod that fits nowhere, and what never happens. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verdict } from '../../../../control-plane/scheduler/filters.ts';
import { pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { type Budget, preempt } from '../../../../control-plane/scheduler/preempt.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { priorityOf } from '../../../../lib/model/priority.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Node, Pod } from '../../../../proto/gen/types.ts';
import { node, type PodShape, pod } from './objects.ts';

const on = (nodeName: string, name: string, priority: number, cpu: string, shape: PodShape = {}): Pod =>
  pod(name, { cpu, ...shape, spec: { nodeName, priority, ...shape.spec } });
const wanted = (priority: number, cpu: string, spec: Partial<Pod['spec']> = {}): Pod =>
  pod('wanted', { cpu, spec: { priority, ...spec } });
const labelled = (entry: Pod, labels: Record<string, string>): Pod => ({
  ...entry,
  metadata: { ...entry.metadata, labels },
});
const leaving = (entry: Pod): Pod => ({
  ...entry,
  metadata: { ...entry.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
});
const budgetOf = (app: string, allowed: number): Budget => ({
  allowed,
  covers: ({ metadata }) => metadata.labels?.app === app,
});

function answer(entry: Pod, nodes: readonly Node[], bound: readonly Pod[], budgets: readonly Budget[] = []) {
  const found = preempt(entry, pictureOf(nodes, bound), budgets);
  return (
    found && { node: found.node.metadata.name, victims: found.victims.map(({ metadata }) => metadata.name).sort() }
  );
}

describe('the choice of victims', () => {
  const [n1, n2] = [node('n1', { cpu: '4' }), node('n2', { cpu: '4' })];
  const repels = (app: string): Partial<Pod['spec']> => ({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app } } },
        ],
      },
    },
  });
  const cases: readonly [string, Pod, Node[], Pod[], ReturnType<typeof answer>, Budget[]?][] = [
    ['one lesser pod goes', wanted(10, '3'), [n1], [on('n1', 'a', 0, '3')], { node: 'n1', victims: ['a'] }],
    ['equals stay', wanted(10, '3'), [n1], [on('n1', 'a', 10, '3')], undefined],
    ['the more important stay', wanted(10, '3'), [n1], [on('n1', 'a', 11, '3')], undefined],
    [
      'only as many as needed, and the lesser first',
      wanted(10, '2'),
      [n1],
      [on('n1', 'a', 1, '2'), on('n1', 'b', 2, '2')],
      { node: 'n1', victims: ['a'] },
    ],
    [
      'the node whose victims matter least',
      wanted(10, '3'),
      [n1, n2],
      [on('n1', 'a', 5, '4'), on('n2', 'b', 1, '2'), on('n2', 'c', 1, '2')],
      { node: 'n2', victims: ['b', 'c'] },
    ],
    [
      'the node with the fewest victims among equals',
      wanted(10, '4'),
      [n1, n2],
      [on('n1', 'a', 1, '2'), on('n1', 'b', 1, '2'), on('n2', 'c', 1, '4')],
      { node: 'n2', victims: ['c'] },
    ],
    ['nobody goes when it would not help', wanted(10, '5'), [n1], [on('n1', 'a', 0, '3')], undefined],
    [
      'nor from a node that eviction cannot cure',
      wanted(10, '3'),
      [node('n1', { cpu: '4', spec: { unschedulable: true } }), node('n2', { cpu: '4', ready: false })],
      [on('n1', 'a', 0, '3'), on('n2', 'b', 0, '3')],
      undefined,
    ],
    [
      'those who leave anyway are enough',
      wanted(10, '3'),
      [n1, n2],
      [on('n1', 'a', 0, '3'), leaving(on('n2', 'b', 50, '3'))],
      { node: 'n2', victims: [] },
    ],
    [
      'a budget that would break is avoided, even at the price of a more important pod',
      wanted(10, '3'),
      [n1, n2],
      [labelled(on('n1', 'a', 0, '3'), { app: 'db' }), on('n2', 'b', 5, '3')],
      { node: 'n2', victims: ['b'] },
      [budgetOf('db', 0)],
    ],
    [
      'a budget breaks when there is no other way',
      wanted(10, '3'),
      [n1],
      [labelled(on('n1', 'a', 0, '3'), { app: 'db' })],
      { node: 'n1', victims: ['a'] },
      [budgetOf('db', 0)],
    ],
    [
      'within a node the covered pod is spared for one that is not',
      wanted(10, '2'),
      [n1],
      [labelled(on('n1', 'a', 0, '2'), { app: 'db' }), on('n1', 'b', 5, '2')],
      { node: 'n1', victims: ['b'] },
      [budgetOf('db', 0)],
    ],
    [
      'a pod whose company is not wanted',
      wanted(10, '1', repels('noisy')),
      [node('n1', { labels: { 'kubernetes.io/hostname': 'n1' } })],
      [labelled(on('n1', 'a', 0, '1'), { app: 'noisy' }), on('n1', 'b', 0, '1')],
      { node: 'n1', victims: ['a'] },
    ],
    [
      'a pod that holds the host port',
      wanted(10, '1', { containers: [{ name: 'm', image: 'i', ports: [{ containerPort: 80, hostPort: 80 }] }] }),
      [n1],
      [
        on('n1', 'a', 0, '1', {
          spec: { containers: [{ name: 'm', image: 'i', ports: [{ containerPort: 80, hostPort: 80 }] }] },
        }),
        on('n1', 'b', 0, '1'),
      ],
      { node: 'n1', victims: ['a'] },
    ],
  ];
  it.each(cases)('%s', (_name, entry, nodes, bound, expected, budgets = []) => {
    expect(answer(entry, nodes, bound, budgets)).toEqual(expected);
  });
});

describe('preemption as a whole', () => {
  const pods = fc.array(
    fc.record({
      node: fc.integer({ min: 0, max: 2 }),
      priority: fc.integer({ min: 0, max: 4 }),
      cpu: fc.integer({ min: 1, max: 3 }),
      leaving: fc.boolean(),
    }),
    { maxLength: 12 },
  );

  it('never takes an equal or a better one, nor one too many, and always helps', () => {
    fc.assert(
      fc.property(pods, fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 7 }), (shapes, priority, cpu) => {
        const nodes = [0, 1, 2].map((index) => node(`n${index}`, { cpu: '6' }));
        const bound = shapes.map((shape, index) => {
          const made = on(`n${shape.node}`, `p${index}`, shape.priority, String(shape.cpu));
          return shape.leaving ? leaving(made) : made;
        });
        const entry = wanted(priority, String(cpu));
        const found = preempt(entry, pictureOf(nodes, bound), []);
        const staying = bound.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
        const fitsWithout = (name: string, gone: readonly Pod[]): boolean => {
          const rest = staying.filter((other) => !gone.includes(other));
          return verdict(entry, pictureOf(nodes, rest).info(name)!) === undefined;
        };
        if (!found) {
          const lesser = staying.filter((other) => priorityOf(other) < priority);
          const changed = (name: string) =>
            bound.some((other) => other.spec.nodeName === name && (lesser.includes(other) || !staying.includes(other)));
          for (const { metadata } of nodes) {
            if (changed(metadata.name)) expect(fitsWithout(metadata.name, lesser)).toBe(false);
          }
          return;
        }
        const { name } = found.node.metadata;
        for (const victim of found.victims) {
          expect(priorityOf(victim)).toBeLessThan(priority);
          expect(victim.spec.nodeName).toBe(name);
          expect(
            fitsWithout(
              name,
              found.victims.filter((other) => other !== victim),
            ),
          ).toBe(false);
        }
        expect(fitsWithout(name, found.victims)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a pass with priorities', () => {
  const decide = (pending: readonly Pod[], nodes: readonly Node[], bound: readonly Pod[] = []) =>
    schedule(pending, pictureOf(nodes, bound), {
      defaultStrategy: 'least-loaded',
      state: { random: seededRandom(1), lastTurn: '' },
    });
  const bindings = (decision: ReturnType<typeof decide>): string[] =>
    decision.bindings.map((binding) => binding.pod.metadata.name);
  const n1 = node('n1', { cpu: '4' });

  it('serves the more important first, then the older', () => {
    const waiting = [
      pod('old', { cpu: '2', created: '2026-01-01T00:00:00Z' }),
      pod('new', { cpu: '2', created: '2026-01-02T00:00:00Z' }),
      pod('vip', { cpu: '2', created: '2026-01-03T00:00:00Z', spec: { priority: 7 } }),
    ];
    expect(bindings(decide(waiting, [n1]))).toEqual(['vip', 'old']);
  });

  it('makes room, and nobody equal or lesser takes it while the victims leave', () => {
    const victim = on('n1', 'victim', 0, '3');
    const vip = pod('vip', { cpu: '2', spec: { priority: 7 } });
    const first = decide([vip, pod('small', { cpu: '1' })], [n1], [victim]);
    expect(first.preemptions).toMatchObject([{ pod: vip, victims: [victim] }]);
    expect(first.unschedulable[0]!.message).toBe('0/1 nodes fit: 1 insufficient cpu; waiting for pods to leave n1');
    expect(bindings(first)).toEqual([]);

    const nominated: Pod = { ...vip, status: { phase: 'Pending', nominatedNodeName: 'n1' } };
    const equal = pod('equal', { cpu: '1', created: '2025-01-01T00:00:00Z', spec: { priority: 7 } });
    const second = decide([nominated, equal, pod('small', { cpu: '1' })], [n1], [leaving(victim)]);
    expect(bindings(second)).toEqual([]);
    expect(second.preemptions.filter((entry) => entry.victims.length > 0)).toEqual([]);

    const better = pod('better', { cpu: '1', spec: { priority: 8 } });
    expect(bindings(decide([nominated, better], [n1], [leaving(victim)]))).toEqual(['better']);
    expect(bindings(decide([nominated, equal], [n1]))).toEqual(['vip', 'equal']);
  });

  it('does not make room for a pod that may not take it', () => {
    const vip = pod('vip', { cpu: '4', spec: { priority: 7, preemptionPolicy: 'Never' } });
    const decision = decide([vip], [n1], [on('n1', 'a', 0, '4')]);
    expect(decision.preemptions).toEqual([]);
    expect(decision.unschedulable[0]!.message).toBe('0/1 nodes fit: 1 insufficient cpu');
  });

  it('two that need room get it one beside the other', () => {
    const bound = ['a', 'b'].map((name) => on('n1', name, 0, '2'));
    const vips = ['v1', 'v2'].map((name) => pod(name, { cpu: '2', spec: { priority: 7 } }));
    const { preemptions } = decide(vips, [n1], bound);
    expect(preemptions.map(({ victims }) => victims.map(({ metadata }) => metadata.name))).toEqual([['b'], ['a']]);
  });
});
