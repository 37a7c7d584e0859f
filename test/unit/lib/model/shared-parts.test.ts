import { expect, it } from 'vitest';
import { fromSharedParts } from '../../../../lib/model/shared-parts.ts';
import type { PodSpec } from '../../../../proto/gen/types.ts';

const template = { containers: [{ name: 'a', image: 'x' }], volumes: [{ name: 'v' }] } as unknown as PodSpec;

function counted(): { readonly asked: PodSpec[]; readonly of: (spec: PodSpec) => string } {
  const asked: PodSpec[] = [];
  const of = fromSharedParts(['volumes'], (spec) => {
    asked.push(spec);
    return `${spec.containers.length}/${spec.volumes?.length ?? 0}`;
  });
  return { asked, of };
}

it('finds once what replicas of a template have in common, whatever their nodes are', () => {
  const { asked, of } = counted();
  expect([of(template), of({ ...template, nodeName: 'n1' }), of({ ...template, nodeName: 'n2' })]).toEqual([
    '1/1',
    '1/1',
    '1/1',
  ]);
  expect(asked).toHaveLength(1);
});

it('finds anew for another part that counts, and for other containers', () => {
  const { asked, of } = counted();
  of(template);
  expect(of({ ...template, volumes: [] })).toBe('1/0');
  expect(of({ ...template, containers: [...template.containers, ...template.containers] })).toBe('2/1');
  expect(asked).toHaveLength(3);
});
