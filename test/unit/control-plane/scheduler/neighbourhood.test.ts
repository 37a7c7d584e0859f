/** Affinity, anti-affinity and topology spread, through `schedule`. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verdicts } from '../../../../control-plane/scheduler/explain.ts';
import { pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { strategyNames } from '../../../../control-plane/scheduler/strategies.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Affinity, Node, Pod, TopologySpreadConstraint } from '../../../../proto/gen/types.ts';
import { node, pod } from './objects.ts';

const hostname = 'kubernetes.io/hostname';

function zoned(zones: readonly string[], shape: Parameters<typeof node>[1] = {}): Node[] {
  return zones.map((zone, i) => node(`n${i}`, { ...shape, labels: { zone, [hostname]: `n${i}`, size: String(i) } }));
}

function place(pods: readonly Pod[], nodes: readonly Node[], bound: readonly Pod[] = [], strategy = 'least-loaded') {
  return schedule(pods, pictureOf(nodes, bound), {
    defaultStrategy: strategy as 'least-loaded',
    state: { random: seededRandom(3), lastTurn: '' },
  });
}

const labelled = (name: string, app: string, spec: Partial<Pod['spec']> = {}): Pod => {
  const plain = pod(name, { owner: app, spec });
  return { ...plain, metadata: { ...plain.metadata, labels: { app } } };
};
const on = (bound: Pod, nodeName: string): Pod => ({ ...bound, spec: { ...bound.spec, nodeName } });
const many = (count: number, app: string, spec: Partial<Pod['spec']>): Pod[] =>
  Array.from({ length: count }, (_, i) => labelled(`${app}-${i}`, app, spec));
const nodesOf = (decision: ReturnType<typeof place>): string[] =>
  decision.bindings.map((binding) => binding.node.metadata.name);
const term = (app: string, topologyKey: string) => ({ labelSelector: { matchLabels: { app } }, topologyKey });
const apart = (app: string, topologyKey = hostname): Affinity => ({
  podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(app, topologyKey)] },
});
const together = (app: string, topologyKey = 'zone'): Affinity => ({
  podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(app, topologyKey)] },
});

describe('node affinity', () => {
  const required = (...matchExpressions: { key: string; operator: 'In' | 'Gt'; values: string[] }[]): Affinity => ({
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] } },
  });

  it('required terms choose the nodes', () => {
    const affinity = required({ key: 'zone', operator: 'In', values: ['b'] });
    expect(nodesOf(place(many(2, 'web', { affinity }), zoned(['a', 'b', 'c'])))).toEqual(['n1', 'n1']);
    const larger = required({ key: 'size', operator: 'Gt', values: ['1'] });
    expect(nodesOf(place(many(1, 'web', { affinity: larger }), zoned(['a', 'b', 'c'])))).toEqual(['n2']);
  });

  it('says when no node matches', () => {
    const affinity = required({ key: 'zone', operator: 'In', values: ['z'] });
    const [refused] = place(many(1, 'web', { affinity }), zoned(['a', 'b'])).unschedulable;
    expect(refused!.message).toBe('0/2 nodes fit: 2 not matching node affinity');
  });

  it('matchFields names one node', () => {
    const requirement = { key: 'metadata.name', operator: 'In' as const, values: ['n2'] };
    const nodeSelectorTerms = [{ matchFields: [requirement] }];
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } };
    expect(nodesOf(place(many(1, 'd', { affinity }), zoned(['a', 'b', 'c'])))).toEqual(['n2']);
  });

  it('preferred terms win over load, but do not refuse', () => {
    const preference = { matchExpressions: [{ key: 'zone', operator: 'In' as const, values: ['c'] }] };
    const preferred = { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, preference }] };
    const pods = Array.from({ length: 3 }, (_, i) =>
      pod(`p${i}`, { cpu: '2', spec: { affinity: { nodeAffinity: preferred } } }),
    );
    expect(nodesOf(place(pods, zoned(['a', 'b', 'c']))).sort()).toEqual(['n0', 'n2', 'n2']);
  });
});

describe('pod affinity', () => {
  it('joins the place where a match runs', () => {
    const database = on(labelled('db', 'db'), 'n1');
    expect(
      nodesOf(place(many(2, 'web', { affinity: together('db') }), zoned(['a', 'b', 'b']), [database])).sort(),
    ).toEqual(['n1', 'n2']);
  });

  it('waits when there is no match, and says so', () => {
    const [refused] = place(many(1, 'web', { affinity: together('db') }), zoned(['a', 'b'])).unschedulable;
    expect(refused!.message).toBe('0/2 nodes fit: 2 not matching pod affinity');
  });

  it('a group that wants to be together starts somewhere and stays there', () => {
    const chosen = nodesOf(place(many(4, 'web', { affinity: together('web') }), zoned(['a', 'b', 'a', 'b'])));
    const zones = new Set(chosen.map((name) => (name === 'n0' || name === 'n2' ? 'a' : 'b')));
    expect(chosen).toHaveLength(4);
    expect(zones.size).toBe(1);
  });
});

describe('pod anti-affinity', () => {
  it.each(strategyNames)('%s puts one on each node and refuses the rest', (strategy) => {
    const decision = place(many(4, 'web', { affinity: apart('web') }), zoned(['a', 'a', 'b']), [], strategy);
    expect(nodesOf(decision).sort()).toEqual(['n0', 'n1', 'n2']);
    expect(decision.unschedulable.map(({ message }) => message)).toEqual([
      '0/3 nodes fit: 3 not matching pod anti-affinity',
    ]);
  });

  it('holds the other way round: nobody joins a pod that wants to be alone', () => {
    const hermit = on(labelled('h', 'hermit', { affinity: apart('web', 'zone') }), 'n0');
    const nodes = zoned(['a', 'a', 'b']);
    expect(nodesOf(place(many(2, 'web', {}), nodes, [hermit]))).toEqual(['n2', 'n2']);
    expect(verdicts(labelled('w', 'web'), pictureOf(nodes, [hermit]))).toEqual([
      { nodeName: 'n0', reason: 'kept free by the anti-affinity of a pod there' },
      { nodeName: 'n1', reason: 'kept free by the anti-affinity of a pod there' },
      { nodeName: 'n2' },
    ]);
  });

  it('holds between classes of one pass', () => {
    const decision = place(
      [labelled('a', 'hermit', { affinity: apart('web', 'zone') }), labelled('b', 'web')],
      zoned(['a']),
    );
    expect(decision.bindings.map((binding) => binding.pod.metadata.name)).toEqual(['a']);
  });

  it('preferred terms avoid, but do not refuse', () => {
    const weighted = [{ weight: 1, podAffinityTerm: term('db', 'zone') }];
    const affinity = { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: weighted } };
    const database = on(labelled('db', 'db'), 'n0');
    expect(nodesOf(place(many(1, 'web', { affinity }), zoned(['a', 'b']), [database]))).toEqual(['n1']);
    expect(nodesOf(place(many(1, 'web', { affinity }), zoned(['a']), [database]))).toEqual(['n0']);
  });
});

describe('topology spread', () => {
  const spread = (topologyKey: string, maxSkew = 1, hard = true): TopologySpreadConstraint => ({
    maxSkew,
    topologyKey,
    whenUnsatisfiable: hard ? 'DoNotSchedule' : 'ScheduleAnyway',
    labelSelector: { matchLabels: { app: 'web' } },
  });

  it('refuses what would make the places uneven', () => {
    const nodes = [...zoned(['a', 'a']), node('n9', { cpu: '0', labels: { zone: 'b' } })];
    const pods = many(3, 'web', {
      topologySpreadConstraints: [spread('zone')],
      containers: [{ name: 'm', image: 'i', resources: { requests: { cpu: '1' } } }],
    });
    const decision = place(pods, nodes);
    expect(decision.bindings).toHaveLength(1);
    expect(decision.unschedulable[0]!.message).toBe(
      '0/3 nodes fit: 2 not matching topology spread, 1 insufficient cpu',
    );
  });

  it('an existing imbalance is mended first', () => {
    const bound = many(3, 'web', {}).map((entry) => on(entry, 'n0'));
    const pods = many(3, 'web', { topologySpreadConstraints: [spread('zone')] });
    expect(nodesOf(place(pods, zoned(['a', 'b']), bound))).toEqual(['n1', 'n1', 'n1']);
  });

  it('ScheduleAnyway only ranks', () => {
    const pods = many(4, 'web', { topologySpreadConstraints: [spread('zone', 1, false)] });
    const zones = nodesOf(place(pods, zoned(['a', 'a', 'a', 'b']))).map((name) => (name === 'n3' ? 'b' : 'a'));
    expect(zones.filter((zone) => zone === 'b')).toHaveLength(2);
  });

  it.each(strategyNames)('%s never exceeds the skew, for any places and any two constraints', (strategy) => {
    const places = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 7 });
    fc.assert(
      fc.property(places, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2 }), (zones, count, skew) => {
        const nodes = zoned(zones, { cpu: '400m' });
        const pods = many(count, 'web', {
          topologySpreadConstraints: [spread('zone', skew), spread(hostname, 1)],
          containers: [{ name: 'm', image: 'i', resources: { requests: { cpu: '100m' } } }],
        });
        const decision = place(pods, nodes, [], strategy);
        const tally = (keys: readonly string[], of: (name: string) => string): number[] =>
          keys.map((key) => nodesOf(decision).filter((name) => of(name) === key).length);
        const byZone = tally([...new Set(zones)], (name) => zones[Number(name.slice(1))]!);
        const byNode = tally(
          nodes.map((entry) => entry.metadata.name),
          (name) => name,
        );
        expect(Math.max(...byZone) - Math.min(...byZone)).toBeLessThanOrEqual(skew);
        expect(Math.max(...byNode) - Math.min(...byNode)).toBeLessThanOrEqual(1);
        // Whoever was refused really fits nowhere now.
        const bound = decision.bindings.map((binding) => on(binding.pod, binding.node.metadata.name));
        for (const { pod: refused } of decision.unschedulable) {
          expect(verdicts(refused, pictureOf(nodes, bound)).every(({ reason }) => reason !== undefined)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });
});
