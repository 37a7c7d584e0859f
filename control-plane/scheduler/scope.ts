/** Which pods a term of affinity or a spread constraint is about, and by which label they are found. */
import { matchesSelector } from '../../lib/model/labels.ts';
import type { LabelSelector, Pod, PodAffinityTerm } from '../../proto/gen/types.ts';

export interface Scope {
  readonly namespaces: readonly string[];
  /** Absent: no pod at all. */
  readonly selector: LabelSelector | undefined;
}

/** What selectors see of a pod. */
export interface Labelled {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>> | undefined;
}

export const namespaceOf = ({ metadata }: Pod): string => metadata.namespace ?? 'default';

export function scopeOf(term: PodAffinityTerm, owner: Pod): Scope {
  const { namespaces = [], labelSelector } = term;
  return { namespaces: namespaces.length > 0 ? namespaces : [namespaceOf(owner)], selector: labelSelector };
}

export function isInScope({ namespaces, selector }: Scope, { namespace, labels }: Labelled): boolean {
  return selector !== undefined && namespaces.includes(namespace) && matchesSelector(selector, labels);
}

const anything = '';

/** A label that every pod of the scope has. */
export function wantedLabel({ selector }: Scope): string {
  for (const key in selector?.matchLabels) return `${key}=${selector.matchLabels[key]}`;
  const exact = selector?.matchExpressions?.find(({ operator, values }) => operator === 'In' && values?.length === 1);
  return exact ? `${exact.key}=${exact.values![0]}` : anything;
}

/** All that `wantedLabel` may give for a scope that has such a pod. */
export function labelsOf({ labels }: Labelled): string[] {
  return [anything, ...Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`)];
}

export function append<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
