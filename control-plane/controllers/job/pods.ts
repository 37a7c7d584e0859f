/** The pods of a Job, and what is noted on them. Pure. */
import { controllerReference } from '../../../lib/model/object.ts';
import { jobUIDLabel } from '../../../lib/model/workloads.ts';
import type { Container, Job, Pod } from '../../../proto/gen/types.ts';

const indexAnnotation = 'batch.kubernetes.io/job-completion-index';
/** On a finished pod: it is in the Job's counts, so that it may go without being forgotten or counted again. */
export const countedAnnotation = 'gantry.dev/counted';

export function isIndexed({ spec }: Job): boolean {
  return spec.completionMode === 'Indexed';
}

export function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[indexAnnotation];
  return text === undefined ? undefined : Number(text);
}

export function isCounted(pod: Pod): boolean {
  return pod.metadata.annotations?.[countedAnnotation] === 'true';
}

export function counted(pod: Pod): Pod {
  const annotations = { ...pod.metadata.annotations, [countedAnnotation]: 'true' };
  return { ...pod, metadata: { ...pod.metadata, annotations } };
}

export function newPod(job: Job, index: number | undefined): Pod {
  const { name, namespace = 'default', uid = '' } = job.metadata;
  const { metadata, spec } = job.spec.template;
  const own = index === undefined ? {} : { [indexAnnotation]: `${index}` };
  const annotations = { ...metadata?.annotations, ...own };
  const base = index === undefined ? name : `${name}-${index}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `${base}-`,
      namespace,
      labels: { ...metadata?.labels, ...ownLabels(name, uid), ...own },
      ...(Object.keys(annotations).length > 0 && { annotations }),
      ownerReferences: [controllerReference(job)],
    },
    spec: index === undefined ? spec : { ...withIndex(spec), hostname: base },
    status: { phase: 'Pending' },
  };
}

/** With the short ones that were first, since people select by them. */
function ownLabels(name: string, uid: string): Record<string, string> {
  return {
    'batch.kubernetes.io/job-name': name,
    'job-name': name,
    [jobUIDLabel]: uid,
    'controller-uid': uid,
  };
}

const indexVariable = 'JOB_COMPLETION_INDEX';

function withIndex(spec: Pod['spec']): Pod['spec'] {
  const fieldRef = { apiVersion: 'v1', fieldPath: `metadata.annotations['${indexAnnotation}']` };
  const add = (container: Container): Container =>
    (container.env ?? []).some(({ name }) => name === indexVariable)
      ? container
      : { ...container, env: [{ name: indexVariable, valueFrom: { fieldRef } }, ...(container.env ?? [])] };
  return {
    ...spec,
    containers: spec.containers.map(add),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(add) }),
  };
}
