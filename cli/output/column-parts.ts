/** Columns that several kinds have. Pure. */
import { podSelectorOf, podTemplateOf } from '../../lib/model/workloads.ts';
import type { Container, KubeObject } from '../../proto/gen/types.ts';
import { age } from './age.ts';
import type { Column } from './table.ts';

export const none = '<none>';

export const nameColumn: Column<KubeObject> = { header: 'NAME', cell: ({ metadata }) => metadata.name };

export function ageColumn(nowMs: number): Column<KubeObject> {
  return { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) };
}

/** Of a workload. */
export function templateColumns(): Column<KubeObject>[] {
  const containers = (object: KubeObject): Container[] => podTemplateOf(object)?.spec.containers ?? [];
  const list = (words: readonly string[]): string => words.join(',');
  return [
    { header: 'CONTAINERS', wide: true, cell: (object) => list(containers(object).map(({ name }) => name)) },
    { header: 'IMAGES', wide: true, cell: (object) => list(containers(object).map(({ image }) => image)) },
    { header: 'SELECTOR', wide: true, cell: (object) => labelsText(podSelectorOf(object)?.matchLabels) },
  ];
}

export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(',') || none;
}
