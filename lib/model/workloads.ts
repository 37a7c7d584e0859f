/** What workloads of all kinds have in common: a pod template, and a selector that finds its pods. */
import type { KubeObject, LabelSelector, PodTemplateSpec } from '../../proto/gen/types.ts';
import type { Kind } from './schema.ts';

/** On the pods of a Job: its uid. */
export const jobUIDLabel = 'batch.kubernetes.io/controller-uid';

/** Kinds that select pods. */
export const kindsWithPods: readonly Kind[] = [
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'Service',
];

/** Undefined for kinds without. */
export function podTemplateOf(object: KubeObject): PodTemplateSpec | undefined {
  switch (object.kind) {
    case 'Deployment':
    case 'ReplicaSet':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'Job':
      return object.spec.template;
    case 'CronJob':
      return object.spec.jobTemplate.spec.template;
    default:
      return undefined;
  }
}

/** For kinds with a template; others stay as they are. */
export function withPodTemplate<T extends KubeObject>(object: T, template: PodTemplateSpec): T {
  if (podTemplateOf(object) === undefined) return object;
  if (object.kind === 'CronJob') {
    const { jobTemplate } = object.spec;
    const changed = { ...jobTemplate, spec: { ...jobTemplate.spec, template } };
    return { ...object, spec: { ...object.spec, jobTemplate: changed } };
  }
  return { ...object, spec: { ...(object as { spec: object }).spec, template } } as T;
}

/** Labels of the pods behind a workload or service; undefined for kinds that have none. */
export function podSelectorOf(object: KubeObject): LabelSelector | undefined {
  switch (object.kind) {
    case 'Deployment':
    case 'ReplicaSet':
    case 'StatefulSet':
    case 'DaemonSet':
      return object.spec.selector;
    case 'Job':
      return { matchLabels: { [jobUIDLabel]: object.metadata.uid ?? '' } };
    case 'Service':
      return { matchLabels: object.spec.selector ?? {} };
    default:
      return undefined;
  }
}
