/**
 * What users make and change, and when it has become what they wanted. A new kind of workload is one more entry in
 * `workloads`.
 */
import { isDeleting } from '../../../lib/model/object.ts';
import { autoscaler } from './autoscaler.ts';
import { cronJob, job } from './batch.ts';
import { configurationProblem, followsConfiguration } from './configuration.ts';
import { daemonSet } from './daemon-set.ts';
import { limitRange } from './limit-range.ts';
import { bare, budget, configMap, secret } from './others.ts';
import { deployment, replicaSet } from './replicas.ts';
import { service } from './service.ts';
import { statefulSet } from './stateful-set.ts';
import { claim, volumeProblem } from './storage.ts';
import { podProblem, type View, type Workload } from './workload.ts';

export const workloads: readonly Workload[] = [
  deployment,
  service,
  configMap,
  secret,
  bare,
  daemonSet,
  job,
  statefulSet,
  cronJob,
  budget,
  replicaSet,
  autoscaler,
  limitRange,
  claim,
];

export function workloadOf(kind: string): Workload | undefined {
  return workloads.find((workload) => workload.kind === kind);
}

/** Why the cluster is not as its users want it; empty when it is. */
export function problemsOf(view: View): string[] {
  const problems = workloads.flatMap((workload) =>
    view.list(workload.kind).flatMap((object) => {
      const what = `${object.kind} ${object.metadata.name}`;
      if (isDeleting(object)) return object.kind === 'Pod' ? [] : [`${what} is still being deleted`];
      const problem = workload.problem(object, view);
      return problem ? [`${what}: ${problem}`] : [];
    }),
  );
  const namespaces = view
    .list('Namespace')
    .filter(isDeleting)
    .map(({ metadata }) => `namespace ${metadata.name} is still being deleted`);
  const pods = view.list('Pod').flatMap((pod) => podProblem(pod, view) ?? []);
  const volumes = view.list('PersistentVolume').flatMap((volume) => volumeProblem(volume, view) ?? []);
  return [...problems, ...namespaces, ...pods, ...volumes];
}

/** Pods that do not run with the content that they should. */
export function configurationProblemsOf(view: View): string[] {
  return view
    .list('Deployment')
    .filter((deployment) => followsConfiguration(deployment) && !isDeleting(deployment))
    .flatMap((deployment) => {
      const problem = configurationProblem(deployment, view);
      return problem === undefined ? [] : [`Deployment ${deployment.metadata.name}: ${problem}`];
    });
}
