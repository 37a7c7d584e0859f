/** Workloads that select one another's pods are told so, whichever way their selectors are written. */
import { describe, expect, it } from 'vitest';
import { createOverlaps } from '../../../../control-plane/api/overlaps.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { controllerReference } from '../../../../lib/model/object.ts';
import type { Deployment, LabelSelector } from '../../../../proto/gen/types.ts';

function deployment(
  name: string,
  selector: LabelSelector,
  labels: Record<string, string>,
  namespace = 'default',
): Deployment {
  const spec = { containers: [{ name: 'main', image: 'i:1' }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, uid: name, resourceVersion: '1' },
    spec: { selector, template: { metadata: { labels }, spec } },
  };
}
const alike = (name: string, labels: Record<string, string>, namespace?: string): Deployment =>
  deployment(name, { matchLabels: labels }, labels, namespace);

function warningsBeside(object: Deployment, ...others: Deployment[]): readonly string[] {
  const state = new MutableClusterState();
  const overlaps = createOverlaps(state);
  state.replace(
    [object, ...others].map((one) => ({ key: keyOf(one), object: one })),
    1n,
  );
  return overlaps.warnings(object);
}

describe('overlapping selectors', () => {
  const web = alike('web', { app: 'web', tier: 'front' });
  const expression = { matchExpressions: [{ key: 'app', operator: 'In' as const, values: ['web', 'x'] }] };

  it.each([
    ['the same labels', alike('other', { app: 'web', tier: 'front' }), true],
    ['a selector that asks for less', alike('other', { tier: 'front' }), true],
    [
      'pods that have more',
      deployment('other', { matchLabels: { z: '1' } }, { app: 'web', tier: 'front', z: '1' }),
      true,
    ],
    ['an expression', deployment('other', expression, { app: 'x' }), true],
    ['one label in common', alike('other', { app: 'web', tier: 'back' }), false],
    ['another namespace', alike('other', { app: 'web', tier: 'front' }, 'elsewhere'), false],
  ])('with %s', (_what, other, warned) => {
    expect(warningsBeside(web, other)).toHaveLength(warned ? 1 : 0);
  });

  it('names a few of many', () => {
    const others = ['a', 'b', 'c', 'd', 'e'].map((name) => alike(name, { app: 'web', tier: 'front' }));
    expect(warningsBeside(web, ...others)).toEqual([
      'Deployment "web" and Deployment "a", Deployment "b", Deployment "c" and 2 more select one another\'s pods. Each keeps to those that it made, but what goes by labels (services, budgets, ctl -l) takes them together; give each a label of its own, in selector and template',
    ]);
  });

  it('follows what comes, changes and goes, and leaves out what a workload made itself', () => {
    const state = new MutableClusterState();
    const overlaps = createOverlaps(state);
    state.replace([{ key: keyOf(web), object: web }], 1n);
    expect(overlaps.warnings(web)).toEqual([]);
    const other = alike('other', { app: 'web', tier: 'front' });
    state.apply([{ key: keyOf(other), object: other }], 2n);
    expect(overlaps.warnings(web)).toHaveLength(1);
    const owned = {
      ...other,
      metadata: { ...other.metadata, resourceVersion: '3', ownerReferences: [controllerReference(web)] },
    };
    state.apply([{ key: keyOf(other), object: owned }], 3n);
    expect(overlaps.warnings(web)).toEqual([]);
    const again = { ...other, metadata: { ...other.metadata, resourceVersion: '4' } };
    state.apply([{ key: keyOf(other), object: again }], 4n);
    expect(overlaps.warnings(web)).toHaveLength(1);
    state.apply([{ key: keyOf(other) }], 5n);
    expect(overlaps.warnings(web)).toEqual([]);
  });
});
