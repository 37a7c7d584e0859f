/** Node affinity: required terms (one must hold) and preferred ones (weights that add up). Pure. */
import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod } from '../../proto/gen/types.ts';

export function requiredNodeAffinityHolds({ spec }: Pick<Pod, 'spec'>, node: Node): boolean {
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term) => termHolds(term, node));
}

/** Sum of the weights of the preferred terms that hold. */
export function preferredNodeWeight({ spec }: Pod, node: Node): number {
  const preferred = spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return preferred.reduce((sum, { weight, preference }) => sum + (termHolds(preference, node) ? weight : 0), 0);
}

/** A term that asks for nothing matches no node, as in Kubernetes. */
function termHolds({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, { metadata }: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => holds(requirement, metadata.labels?.[requirement.key])) &&
    matchFields.every((requirement) => holds(requirement, metadata.name))
  );
}

function holds({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
  }
}

/**
 * The names of the only nodes that can match, when every required term names some; undefined when other nodes can as
 * well. So it is with the pods of DaemonSets, of which there are as many as nodes.
 */
export function pinnedNodes({ spec }: Pick<Pod, 'spec'>): readonly string[] | undefined {
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const names = terms?.map(({ matchFields }) => matchFields?.find(({ operator }) => operator === 'In')?.values ?? []);
  return names?.every((values) => values.length > 0) ? names.flat() : undefined;
}
