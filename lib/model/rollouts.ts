/**
 * The annotations by which workloads ask how they are rolled out, and by which their revisions remember the content they
 * were made with.
 *
 * A revision of a workload that rolls out with its configuration names copies of its ConfigMaps and Secrets, which never
 * change. `withOriginalNames` is the template as its author wrote it.
 */
import type { KubeObject, PodTemplateSpec } from '../../proto/gen/types.ts';
import { type ConfigurationKind, withConfigurationNames } from './pod-configuration.ts';

/** "true" on a Deployment: a rollout that misses its deadline goes back to the last revision that was complete. */
export const autoRollbackAnnotation = 'gantry.dev/auto-rollback';
/** "true" on a Deployment, StatefulSet or DaemonSet: changed content of what its template names is a new revision. */
export const configRolloutAnnotation = 'gantry.dev/rollout-on-config-change';
/** On a workload, until its controller has seen it: the revision whose content is to be run, by name. */
export const undoAnnotation = 'gantry.dev/undo-to';
/** On a revision: which copies stand for what its author named, as JSON {"ConfigMap/settings": "web-settings-..."}. */
export const copiesAnnotation = 'gantry.dev/configuration-copies';
/** On a workload and its revisions: why, in the words of its author. */
export const changeCauseAnnotation = 'kubernetes.io/change-cause';
/** On a revision: why it was made or gone back to, as its controller saw it; empty when there is nothing to say. */
export const causeAnnotation = 'gantry.dev/rollout-cause';
/** On a revision: the words of its author that were said of the one before it, and not of this one. */
export const formerCauseAnnotation = 'gantry.dev/former-change-cause';
/** On a template: when somebody asked for other pods of it. kubectl's, so that either of the two can ask. */
export const restartedAtAnnotation = 'kubectl.kubernetes.io/restartedAt';
/** On a copy: the name of what it was copied from. */
export const copyOfAnnotation = 'gantry.dev/copy-of';
/** On a copy, to select by: "true". */
export const copyLabel = 'gantry.dev/configuration-copy';

export type CopyNames = Readonly<Record<string, string>>;

export function isAutoRollback({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[autoRollbackAnnotation] === 'true';
}

export function rollsOutWithConfiguration({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[configRolloutAnnotation] === 'true';
}

export function copyKey(kind: ConfigurationKind, name: string): string {
  return `${kind}/${name}`;
}

/** Of a ReplicaSet or ControllerRevision. */
export function copyNamesOf({ metadata }: KubeObject): CopyNames {
  try {
    const names: unknown = JSON.parse(metadata.annotations?.[copiesAnnotation] ?? '{}');
    return typeof names === 'object' && names !== null ? (names as CopyNames) : {};
  } catch {
    return {}; // somebody wrote on the annotation: the names stay those of the copies
  }
}

export function copiesAnnotationOf(names: CopyNames): Record<string, string> {
  return Object.keys(names).length > 0 ? { [copiesAnnotation]: JSON.stringify(names) } : {};
}

/** A copy is called after its content. */
export function contentHash(copy: string): string {
  return copy.slice(copy.lastIndexOf('-') + 1);
}

/** What has other content than before, a sentence each. What is new to the workload is no change. */
export function changedContents(names: CopyNames, before: CopyNames): string[] {
  return Object.entries(names).flatMap(([original, copy]) =>
    before[original] === undefined || before[original] === copy
      ? []
      : [`${original.replace('/', ' ')} changed to ${contentHash(copy)}`],
  );
}

/** The template of a revision with the ConfigMaps and Secrets that its author named. */
export function withOriginalNames(template: PodTemplateSpec, names: CopyNames): PodTemplateSpec {
  const originals = new Map(
    Object.entries(names).map(([key, copy]) => {
      const [kind = '', ...name] = key.split('/');
      return [`${kind}/${copy}`, name.join('/')];
    }),
  );
  if (originals.size === 0) return template;
  const rename = (kind: ConfigurationKind, name: string): string => originals.get(copyKey(kind, name)) ?? name;
  return { ...template, spec: withConfigurationNames(template.spec, rename) };
}
