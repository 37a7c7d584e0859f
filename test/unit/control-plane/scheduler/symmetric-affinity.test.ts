/** What pods that are already there wish of those that come after them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Picture, pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Affinity, Node, Pod } from '../../../../proto/gen/types.ts';
import { node, pod } from './objects.ts';

const hostname = 'kubernetes.io/hostname';

const zoned = (zones: readonly string[]): Node[] =>
  zones.map((zone, i) => node(`n${i}`, { labels: { [hostname]: `n${i}`, ...(zone && { zone }) } }));

function podOf(name: string, app: string, affinity?: Affinity, on?: string, cpu?: string): Pod {
  const spec = { ...(affinity && { affinity }), ...(on !== undefined && { nodeName: on }) };
  const plain = pod(name, { spec, ...(cpu !== undefined && { cpu }) });
  return { ...plain, metadata: { ...plain.metadata, labels: { app } } };
}

function place(pods: readonly Pod[], picture: Picture, defaultStrategy = 'least-loaded'): string[] {
  const state = { random: seededRandom(3), lastTurn: '' };
  const { bindings } = schedule(pods, picture, { defaultStrategy, state });
  return bindings.map((binding) => binding.node.metadata.name);
}

const term = (app: string, topologyKey: string) => ({ labelSelector: { matchLabels: { app } }, topologyKey });
const near = (app: string, weight: number, topologyKey = 'zone'): Affinity => ({
  podAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [{ weight, podAffinityTerm: term(app, topologyKey) }],
  },
});
const far = (app: string, weight: number, topologyKey = 'zone'): Affinity => ({
  podAntiAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [{ weight, podAffinityTerm: term(app, topologyKey) }],
  },
});
const needing = (app: string, topologyKey = 'zone'): Affinity => ({
  podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(app, topologyKey)] },
});

describe('preferences of pods that are there', () => {
  const nodes = zoned(['a', 'a', 'b', 'b']);

  it('a pod joins the zone of one that would like it near, though it says nothing itself', () => {
    expect(place([podOf('db', 'db')], pictureOf(nodes, [podOf('web', 'web', near('db', 10), 'n2')]))).toEqual(['n3']);
  });

  it('and keeps to other zones than one that would like it far', () => {
    expect(place([podOf('db', 'db')], pictureOf(nodes, [podOf('web', 'web', far('db', 10), 'n0')]))).toEqual(['n2']);
  });

  it('wins over load, as what the pod itself prefers does', () => {
    const there = podOf('web', 'web', near('db', 1), 'n2', '3');
    expect(
      place([podOf('db', 'db', undefined, undefined, '500m')], pictureOf(zoned(['a', 'a', 'b']), [there])),
    ).toEqual(['n2']);
  });

  it('bin-pack heeds it, too', () => {
    const there = [podOf('web', 'web', far('db', 1), 'n0', '1')];
    expect(place([podOf('db', 'db', undefined, undefined, '1')], pictureOf(nodes, there), 'bin-pack')).toEqual(['n2']);
  });

  it('its weight stands against what the pod prefers', () => {
    const there = [podOf('web', 'web', far('db', 60), 'n0'), podOf('cache', 'cache', undefined, 'n0')];
    const wanting = (weight: number) => [podOf('db', 'db', near('cache', weight))];
    expect(place(wanting(70), pictureOf(nodes, there))).toEqual(['n1']);
    expect(place(wanting(50), pictureOf(nodes, there))).toEqual(['n2']);
  });

  it('of a pod in another namespace, or on its way out, nobody minds', () => {
    const there = podOf('web', 'web', near('db', 10), 'n2');
    const leaving = { ...there, metadata: { ...there.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    const elsewhere = { ...there, metadata: { ...there.metadata, namespace: 'other' } };
    for (const other of [leaving, elsewhere])
      expect(place([podOf('db', 'db')], pictureOf(nodes, [other]))).toEqual(['n0']);
  });

  it('is forgotten with the pod', () => {
    const there = podOf('web', 'web', near('db', 10), 'n2');
    const picture = pictureOf(nodes, [there]);
    picture.removePod(there);
    expect(place([podOf('db', 'db')], picture)).toEqual(['n0']);
  });

  it('pods of one pass mind each other', () => {
    expect(place([podOf('a', 'web', far('db', 10)), podOf('b', 'db')], pictureOf(nodes, []))).toEqual(['n0', 'n2']);
  });
});

describe('pods that need others', () => {
  const nodes = zoned(['a', 'a', 'b', 'b']);
  const needy = (count: number, on: string) =>
    Array.from({ length: count }, (_, i) => podOf(`web-${on}-${i}`, 'web', needing('db'), on, '200m'));
  const db = (name: string, on?: string) => podOf(name, 'db', undefined, on, '200m');

  it.each(['least-loaded', 'bin-pack'])('draw one near when they have none left, and only that one: %s', (strategy) => {
    const chosen = place([db('db-1'), db('db-2')], pictureOf(nodes, needy(2, 'n3')), strategy);
    expect(chosen[0]).toMatch(/n2|n3/);
    expect(chosen[1]).toBe(strategy === 'least-loaded' ? 'n0' : 'n3');
  });

  it('each counts 1 against what is preferred', () => {
    const cache = (weight: number) => podOf('cache', 'cache', near('db', weight), 'n0');
    expect(place([db('db')], pictureOf(nodes, [...needy(3, 'n3'), cache(4)]))).toEqual(['n1']);
    expect(place([db('db')], pictureOf(nodes, [...needy(3, 'n3'), cache(2)]))).toEqual(['n2']);
  });

  it('go where most of them lack it', () => {
    expect(place([db('db')], pictureOf(nodes, [...needy(1, 'n0'), ...needy(2, 'n3')]))).toEqual(['n2']);
  });

  it('do not count while they have one', () => {
    const there = [...needy(3, 'n3'), db('db-1', 'n2')];
    expect(place([db('new')], pictureOf(nodes, there))).toEqual(['n0']);
  });
});

it('goes where the sum of all weights is highest, as if each pod had been asked anew', () => {
  const apps = fc.constantFrom('a', 'b');
  const keys = fc.constantFrom('zone', hostname);
  const terms = fc.array(
    fc.record({ sign: fc.constantFrom(1, -1), app: apps, key: keys, weight: fc.integer({ min: 1, max: 100 }) }),
    { maxLength: 3 },
  );
  const affinityOf = (list: typeof terms extends fc.Arbitrary<infer T> ? T : never): Affinity => {
    const rules = (sign: number) => ({
      preferredDuringSchedulingIgnoredDuringExecution: list
        .filter((entry) => entry.sign === sign)
        .map(({ app, key, weight }) => ({ weight, podAffinityTerm: term(app, key) })),
    });
    return { podAffinity: rules(1), podAntiAffinity: rules(-1) };
  };
  const there = fc.array(fc.record({ app: apps, terms, node: fc.nat({ max: 4 }), goes: fc.boolean() }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(there, apps, terms, fc.integer({ min: 1, max: 4 }), (existing, app, own, count) => {
      const nodes = zoned(['x', 'x', 'y', 'y', '']);
      const pods = existing.map((entry, i) => podOf(`e${i}`, entry.app, affinityOf(entry.terms), `n${entry.node}`));
      const picture = pictureOf(nodes, pods);
      for (const [i, { goes }] of existing.entries()) if (goes) picture.removePod(pods[i]!);
      const stays = pods.filter((_pod, i) => !existing[i]!.goes);
      const coming = Array.from({ length: count }, (_, i) => podOf(`new-${i}`, app, affinityOf(own)));
      const chosen = place(coming, picture);
      expect(chosen).toHaveLength(count);
      for (const [i, name] of chosen.entries()) {
        const scores = nodes.map((candidate) => scoreOf(coming[i]!, candidate, stays, nodes));
        expect(scores[nodes.findIndex(({ metadata }) => metadata.name === name)]).toBe(Math.max(...scores));
        stays.push({ ...coming[i]!, spec: { ...coming[i]!.spec, nodeName: name } });
      }
    }),
    { numRuns: 200 },
  );
});

/** By the definition: every term of either pod that is about the other, where both are in one place. */
function scoreOf(coming: Pod, candidate: Node, there: readonly Pod[], nodes: readonly Node[]): number {
  const weights = (holder: Pod, other: Pod, where: Node): number => {
    const { podAffinity, podAntiAffinity } = holder.spec.affinity ?? {};
    const sum = (rules: Affinity['podAffinity']) =>
      (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
        .filter(({ podAffinityTerm: { labelSelector, topologyKey } }) => {
          const place = candidate.metadata.labels?.[topologyKey];
          const isThere = place !== undefined && place === where.metadata.labels?.[topologyKey];
          return isThere && labelSelector!.matchLabels!.app === other.metadata.labels!.app;
        })
        .reduce((total, { weight }) => total + weight, 0);
    return sum(podAffinity) - sum(podAntiAffinity);
  };
  return there.reduce((total, other) => {
    const where = nodes.find(({ metadata }) => metadata.name === other.spec.nodeName)!;
    return total + weights(coming, other, where) + weights(other, coming, where);
  }, 0);
}
