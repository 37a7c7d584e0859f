/** What the history of rollouts says about a template that has changed. */
import { expect, it } from 'vitest';
import { templateChanges } from '../../../../control-plane/controllers/template-changes.ts';
import type { Container, PodSpec, PodTemplateSpec } from '../../../../proto/gen/types.ts';

const main: Container = { name: 'main', image: 'echo:1', env: [{ name: 'A', value: 'secret' }] };
const side: Container = { name: 'side', image: 'side:1' };

function template(spec: Partial<PodSpec> = {}, metadata: PodTemplateSpec['metadata'] = {}): PodTemplateSpec {
  return { metadata: { labels: { app: 'web' }, ...metadata }, spec: { containers: [main, side], ...spec } };
}
const withMain = (change: Partial<Container>): PodTemplateSpec =>
  template({ containers: [{ ...main, ...change }, side] });
const restarted = { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z' } };

it.each<[string, PodTemplateSpec, string[]]>([
  ['nothing', template(), []],
  ['an image', withMain({ image: 'echo:2' }), ['image of main changed to echo:2']],
  ['a restart', template({}, restarted), ['restarted']],
  [
    'variables, without their values',
    withMain({ env: ['A', 'B', 'C', 'D', 'E'].map((name) => ({ name, value: 'new' })) }),
    ['variables of main changed: A, B, C, 2 more'],
  ],
  [
    'other fields',
    withMain({ args: ['x'], resources: { requests: { cpu: '1' } } }),
    ['args, resources of main changed'],
  ],
  [
    'containers that come and go',
    template({ containers: [main], initContainers: [{ name: 'first', image: 'x' }] }),
    ['container first added', 'container side removed'],
  ],
  ['their order', template({ containers: [side, main] }), ['containers changed places']],
  ['the pod', template({ volumes: [{ name: 'a', emptyDir: {} }] }), ['volumes changed']],
  [
    'labels and annotations',
    template({}, { labels: { app: 'web', tier: 'a' }, annotations: { x: 'y' } }),
    ['labels changed: tier', 'annotations changed: x'],
  ],
  [
    'all at once, of which not all is told',
    template({ containers: [{ ...main, image: 'echo:2', args: ['x'] }], nodeSelector: { a: 'b' } }, restarted),
    ['restarted', 'image of main changed to echo:2', 'args of main changed', 'and 2 more'],
  ],
])('%s', (_what, after, changes) => {
  expect(templateChanges(template(), after)).toEqual(changes);
});

it('a restart that was asked for before is not told again', () => {
  const before = template({}, restarted);
  expect(templateChanges(before, { ...before, spec: withMain({ image: 'echo:2' }).spec })).toEqual([
    'image of main changed to echo:2',
  ]);
  expect(templateChanges(before, template())).toEqual([]);
});
