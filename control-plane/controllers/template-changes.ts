/**
 * What a pod template has that the one before it had not, in a few words: for the history of rollouts. Pure.
 *
 * Values of variables are not told: they may be secret, and whoever may read a revision's name need not be one who may read them.
 */
import { isSame } from '../../lib/model/object.ts';
import { restartedAtAnnotation } from '../../lib/model/rollouts.ts';
import type { Container, PodTemplateSpec } from '../../proto/gen/types.ts';

const mostTold = 3;
const mostVariables = 3;

export function templateChanges(before: PodTemplateSpec, after: PodTemplateSpec): string[] {
  const { containers: _were, initContainers: _wereFirst, ...specBefore } = before.spec;
  const { containers: _are, initContainers: _areFirst, ...specAfter } = after.spec;
  const changes = [
    ...restart(before, after),
    ...containerChanges(containersOf(before), containersOf(after)),
    ...changed(specBefore, specAfter).map((field) => `${field} changed`),
    ...metadataChanges(before, after),
  ];
  if (changes.length === 0)
    return isSame(containersOf(before), containersOf(after)) ? [] : ['containers changed places'];
  const told = changes.slice(0, mostTold);
  return changes.length > told.length ? [...told, `and ${changes.length - told.length} more`] : told;
}

function restart(before: PodTemplateSpec, after: PodTemplateSpec): string[] {
  const at = annotationsOf(after)[restartedAtAnnotation];
  return at !== undefined && at !== annotationsOf(before)[restartedAtAnnotation] ? ['restarted'] : [];
}

function annotationsOf({ metadata }: PodTemplateSpec): Readonly<Record<string, string>> {
  return metadata?.annotations ?? {};
}

function metadataChanges(before: PodTemplateSpec, after: PodTemplateSpec): string[] {
  const { [restartedAtAnnotation]: _was, ...annotationsBefore } = annotationsOf(before);
  const { [restartedAtAnnotation]: _is, ...annotationsAfter } = annotationsOf(after);
  const labels = changed(before.metadata?.labels ?? {}, after.metadata?.labels ?? {});
  const annotations = changed(annotationsBefore, annotationsAfter);
  return [
    ...(labels.length > 0 ? [`labels changed: ${some(labels)}`] : []),
    ...(annotations.length > 0 ? [`annotations changed: ${some(annotations)}`] : []),
  ];
}

function containersOf({ spec }: PodTemplateSpec): readonly Container[] {
  return [...spec.containers, ...(spec.initContainers ?? [])];
}

function containerChanges(before: readonly Container[], after: readonly Container[]): string[] {
  const was = new Map(before.map((container) => [container.name, container]));
  const is = new Set(after.map(({ name }) => name));
  const gone = before.filter(({ name }) => !is.has(name)).map(({ name }) => `container ${name} removed`);
  return [...after.flatMap((container) => changesOf(was.get(container.name), container)), ...gone];
}

function changesOf(before: Container | undefined, after: Container): string[] {
  const { name } = after;
  if (!before) return [`container ${name} added`];
  const fields = changed(before, after);
  const others = fields.filter((field) => field !== 'image' && field !== 'env');
  return [
    ...(fields.includes('image') ? [`image of ${name} changed to ${after.image}`] : []),
    ...(fields.includes('env') ? [`variables of ${name} changed: ${some(changedVariables(before, after))}`] : []),
    ...(others.length > 0 ? [`${others.join(', ')} of ${name} changed`] : []),
  ];
}

function changedVariables({ env: before = [] }: Container, { env: after = [] }: Container): string[] {
  const byName = (variables: typeof before) => Object.fromEntries(variables.map((one) => [one.name, one]));
  const names = changed(byName(before), byName(after));
  return names.length > 0 ? names : ['their order'];
}

/** Fields that are not the same in both. */
function changed(before: object, after: object): string[] {
  const was = before as Readonly<Record<string, unknown>>;
  const is = after as Readonly<Record<string, unknown>>;
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((name) => !isSame(was[name], is[name])).sort();
}

function some(names: readonly string[]): string {
  const more = names.length - mostVariables;
  return [...names.slice(0, mostVariables), ...(more > 0 ? [`${more} more`] : [])].join(', ');
}
