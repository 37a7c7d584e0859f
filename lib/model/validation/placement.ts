/** affinity and topologySpreadConstraints of a pod's spec. */
import type {
  NodeSelectorTerm,
  PodAffinity,
  PodAffinityTerm,
  PodSpec,
  TopologySpreadConstraint,
} from '../../../proto/gen/types.ts';
import { qualifiedNameProblem } from '../formats.ts';
import { at } from '../problems.ts';
import { checkAtLeast, checkRange, checkSelector, checkUnique, type Report } from './checks.ts';

const required = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';

export function checkPlacement({ affinity, topologySpreadConstraints }: PodSpec, path: string, report: Report): void {
  const here = at(path, 'affinity');
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity ?? {};
  const nodePath = at(here, 'nodeAffinity');
  for (const [index, term] of (nodeAffinity?.[required]?.nodeSelectorTerms ?? []).entries()) {
    checkNodeTerm(term, at(at(at(nodePath, required), 'nodeSelectorTerms'), index), report);
  }
  for (const [index, { weight, preference }] of (nodeAffinity?.[preferred] ?? []).entries()) {
    const term = at(at(nodePath, preferred), index);
    checkRange(weight, 1, 100, at(term, 'weight'), report);
    if (preference) checkNodeTerm(preference, at(term, 'preference'), report);
  }
  checkPodAffinity(podAffinity, at(here, 'podAffinity'), report);
  checkPodAffinity(podAntiAffinity, at(here, 'podAntiAffinity'), report);
  checkSpread(topologySpreadConstraints, at(path, 'topologySpreadConstraints'), report);
}

export function checkNodeTerm(
  { matchExpressions = [], matchFields = [] }: NodeSelectorTerm,
  path: string,
  report: Report,
): void {
  for (const [index, { key, operator, values = [] }] of matchExpressions.entries()) {
    const here = at(at(path, 'matchExpressions'), index);
    if (key) report(at(here, 'key'), qualifiedNameProblem(key));
    checkValues(operator, values, at(here, 'values'), report);
  }
  for (const [index, { key, operator, values = [] }] of matchFields.entries()) {
    const here = at(at(path, 'matchFields'), index);
    if (key && key !== 'metadata.name') report(at(here, 'key'), `"${key}" is no field of nodes; use metadata.name`);
    if (operator && operator !== 'In' && operator !== 'NotIn') {
      report(at(here, 'operator'), `${operator} is not for fields; use In or NotIn`);
    }
    checkValues(operator, values, at(here, 'values'), report);
  }
}

function checkValues(operator: string | undefined, values: readonly string[], path: string, report: Report): void {
  if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
    report(path, `required with operator ${operator}`);
  } else if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
    report(path, `operator ${operator} takes no values; remove them`);
  } else if ((operator === 'Gt' || operator === 'Lt') && !(values.length === 1 && /^-?\d+$/.test(values[0]!))) {
    report(path, `operator ${operator} takes one whole number, such as ["4"]`);
  }
}

function checkPodAffinity(rules: PodAffinity | undefined, path: string, report: Report): void {
  for (const [index, term] of (rules?.[required] ?? []).entries()) {
    checkPodTerm(term, at(at(path, required), index), report);
  }
  for (const [index, { weight, podAffinityTerm }] of (rules?.[preferred] ?? []).entries()) {
    const here = at(at(path, preferred), index);
    checkRange(weight, 1, 100, at(here, 'weight'), report);
    if (podAffinityTerm) checkPodTerm(podAffinityTerm, at(here, 'podAffinityTerm'), report);
  }
}

function checkPodTerm({ labelSelector, topologyKey }: PodAffinityTerm, path: string, report: Report): void {
  checkSelector(labelSelector, at(path, 'labelSelector'), report);
  if (topologyKey) report(at(path, 'topologyKey'), qualifiedNameProblem(topologyKey));
}

function checkSpread(constraints: readonly TopologySpreadConstraint[] | undefined, path: string, report: Report): void {
  for (const [index, { maxSkew, topologyKey, labelSelector }] of (constraints ?? []).entries()) {
    const here = at(path, index);
    checkAtLeast(maxSkew, 1, at(here, 'maxSkew'), report);
    if (topologyKey) report(at(here, 'topologyKey'), qualifiedNameProblem(topologyKey));
    checkSelector(labelSelector, at(here, 'labelSelector'), report);
  }
  const keyOf = ({ topologyKey, whenUnsatisfiable }: TopologySpreadConstraint): string =>
    `${topologyKey} ${whenUnsatisfiable}`;
  checkUnique(constraints, path, keyOf, 'the constraint', report);
}
