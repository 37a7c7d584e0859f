/** The scheduler's README: its examples are code that compiles and does what is said of it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { verdicts } from '../../../../control-plane/scheduler/explain.ts';
import { filters } from '../../../../control-plane/scheduler/filters.ts';
import { pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { strategies } from '../../../../control-plane/scheduler/strategies.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { Node, Pod } from '../../../../proto/gen/types.ts';
import { node, pod } from './objects.ts';
import { fewestPods, quarantine, threeOfAKind } from './readme-examples.ts';

const textOf = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const readme = textOf('../../../../control-plane/scheduler/README.md');
const examples = textOf('readme-examples.ts').replaceAll('export const', 'const');

const place = (pods: readonly Pod[], nodes: readonly Node[]) =>
  schedule(pods, pictureOf(nodes, []), {
    defaultStrategy: 'fewest-pods',
    state: { random: seededRandom(1), lastTurn: '' },
    filters: [...filters, quarantine, threeOfAKind],
    strategies: [...strategies, fewestPods],
  });
const nodesOf = (decision: ReturnType<typeof place>) => decision.bindings.map((binding) => binding.node.metadata.name);
const replicas = (count: number) => Array.from({ length: count }, (_, i) => pod(`web-${i}`, { owner: 'web' }));

describe('the README', () => {
  it('shows code that is compiled and run here', () => {
    const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);
    expect(blocks).toHaveLength(3);
    for (const block of blocks) expect(examples).toContain(block);
  });

  it('names files that are there', () => {
    const named = [...readme.matchAll(/(?<![\w.-])([a-z-]+\.ts)\b/g)].map(([, file]) => file!);
    expect(named.length).toBeGreaterThan(10);
    for (const file of new Set(named))
      expect(() => textOf(`../../../../control-plane/scheduler/${file}`)).not.toThrow();
  });

  it('its filter of the node alone keeps pods away, says why, and lets others in', () => {
    const sick = node('n1', { labels: { 'example.com/quarantined': 'true' } });
    const doctor = pod('doctor');
    const examining = { ...doctor, metadata: { ...doctor.metadata, labels: { 'example.com/examines': 'disk' } } };
    const decision = place([pod('a'), examining], [sick]);
    expect(decision.bindings.map((binding) => binding.pod.metadata.name)).toEqual(['doctor']);
    expect(decision.unschedulable[0]!.message).toBe('0/1 nodes fit: 1 quarantined');
    expect(verdicts(pod('a'), pictureOf([sick], []), undefined, [...filters, quarantine])).toEqual([
      { nodeName: 'n1', reason: 'quarantined' },
    ]);
  });

  it('its filter of what is on the node is asked again after every placement', () => {
    const decision = place(replicas(7), [node('n1'), node('n2')]);
    expect(nodesOf(decision)).toHaveLength(6);
    expect(decision.unschedulable[0]!.message).toBe('0/2 nodes fit: 2 with three of its workload');
  });

  it('its strategy looks at the number of pods, then at the memory', () => {
    const nodes = [node('n1'), node('n2', { memory: '16Gi' }), node('n3')];
    const alone = ['a', 'b', 'c', 'd'].map((name) => pod(name, { spec: { schedulerName: 'fewest-pods' } }));
    expect(nodesOf(place(alone, nodes))).toEqual(['n2', 'n1', 'n3', 'n2']);
  });
});
