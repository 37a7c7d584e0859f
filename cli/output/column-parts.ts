/** Columns that several kinds have. Pure. */
import type { Container, KubeObject, LabelSelector } from '../../proto/gen/types.ts';
import { age } from './age.ts';
import type { Column } from './table.ts';

export const none = '<none>';

export const nameColumn: Column<KubeObject> = { header: 'NAME', cell: ({ metadata }) => metadata.name };

export function ageColumn(nowMs: number): Column<KubeObject> {
  return { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) };
}

interface Templated {
  readonly spec: {
    readonly selector: LabelSelector;
    readonly template: { readonly spec: { containers: Container[] } };
  };
}

export function templateColumns<T extends Templated>(): Column<T>[] {
  const containers = ({ spec }: T): Container[] => spec.template.spec.containers;
  return [
    {
      header: 'CONTAINERS',
      wide: true,
      cell: (row) =>
        containers(row)
          .map(({ name }) => name)
          .join(','),
    },
    {
      header: 'IMAGES',
      wide: true,
      cell: (row) =>
        containers(row)
          .map(({ image }) => image)
          .join(','),
    },
    { header: 'SELECTOR', wide: true, cell: ({ spec }) => labelsText(spec.selector.matchLabels) },
  ];
}

export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(',') || none;
}
