/** Pod, ReplicaSet and Deployment. */
import type {
  Deployment,
  DeploymentSpec,
  LabelSelector,
  Pod,
  PodSpec,
  PodTemplateSpec,
  ReplicaSet,
} from '../../../proto/gen/types.ts';
import { changedPaths, sameValue } from '../equal.ts';
import { matchesSelector } from '../labels.ts';
import { at, type Problem, unsupportedProblem } from '../problems.ts';
import { checkAtLeast, checkLabels, checkSelector, collect, type Report } from './checks.ts';
import { checkPodSpec } from './pod-spec.ts';

export function checkPod(pod: Pod, old: Pod | undefined, problems: Problem[]): void {
  const report = collect(problems);
  checkPodSpec(pod.spec, 'spec', report);
  if (!old) checkNodeName(pod.spec, 'spec', problems);
  else if (pod.spec) checkPodChange(old.spec, pod.spec, report);
}

/** The address is taken together with the node, in the binding; nobody else may bind. */
function checkNodeName(spec: PodSpec | undefined, path: string, problems: Problem[]): void {
  for (const [index, { persistentVolumeClaim: claim }] of (spec?.volumes ?? []).entries()) {
    if (!claim?.bound) continue;
    const here = at(at(at(path, 'volumes'), index), 'persistentVolumeClaim.bound');
    problems.push({ path: here, message: 'is written by the scheduler with the binding; remove it' });
  }
  if (!spec?.nodeName) return;
  const cure = `use nodeSelector with kubernetes.io/hostname: ${spec.nodeName} to choose the node`;
  const reason = 'the scheduler gives a pod its node and its address in one step';
  problems.push(unsupportedProblem(at(path, 'nodeName'), reason, cure));
}

function checkPodChange(old: PodSpec, spec: PodSpec, report: Report): void {
  for (const path of changedPaths(changeable(old, spec), spec, 'spec')) {
    report(
      path,
      'cannot change after creation (only image and added tolerations can); delete the pod and create it again',
    );
  }
}

/** The old spec with everything that may change taken from the new one. */
function changeable(old: PodSpec, spec: PodSpec): PodSpec {
  const withImages = (before: PodSpec['containers'] = [], after: PodSpec['containers'] = []): PodSpec['containers'] =>
    before.map((container, index) => {
      // The pull policy is derived from the image's tag, so it may move with it.
      const { image = container.image, imagePullPolicy = container.imagePullPolicy } = after[index] ?? {};
      return { ...container, image, ...(imagePullPolicy && { imagePullPolicy }) };
    });
  const kept = (old.tolerations ?? []).every((toleration) =>
    (spec.tolerations ?? []).some((other) => sameValue(toleration, other)),
  );
  return {
    ...old,
    containers: withImages(old.containers, spec.containers),
    ...(old.initContainers && { initContainers: withImages(old.initContainers, spec.initContainers) }),
    ...(kept && spec.tolerations && { tolerations: spec.tolerations }),
    ...(spec.activeDeadlineSeconds !== undefined && { activeDeadlineSeconds: spec.activeDeadlineSeconds }),
  };
}

export function checkReplicaSet(object: ReplicaSet, old: ReplicaSet | undefined, problems: Problem[]): void {
  if (object.spec) checkWorkload(object.spec, old?.spec, problems);
}

export function checkDeployment(object: Deployment, old: Deployment | undefined, problems: Problem[]): void {
  const { spec } = object;
  if (!spec) return;
  const report = collect(problems);
  checkWorkload(spec, old?.spec, problems);
  checkStrategy(spec, report);
  checkAtLeast(spec.revisionHistoryLimit, 0, 'spec.revisionHistoryLimit', report);
  checkAtLeast(spec.progressDeadlineSeconds, 1, 'spec.progressDeadlineSeconds', report);
  if (spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) {
    report('spec.progressDeadlineSeconds', `must be more than minReadySeconds (${spec.minReadySeconds ?? 0})`);
  }
}

/** What workloads whose pods run for ever have in common. */
export interface WorkloadSpec {
  readonly replicas?: number;
  readonly minReadySeconds?: number;
  readonly selector: LabelSelector;
  readonly template: PodTemplateSpec;
}

export function checkWorkload(spec: WorkloadSpec, old: WorkloadSpec | undefined, problems: Problem[]): void {
  const report = collect(problems);
  checkAtLeast(spec.replicas, 0, 'spec.replicas', report);
  checkAtLeast(spec.minReadySeconds, 0, 'spec.minReadySeconds', report);
  checkSelector(spec.selector, 'spec.selector', report);
  checkTemplate(spec, problems);
  if (old && !sameValue(old.selector, spec.selector)) {
    report('spec.selector', 'never changes; delete the object and create it again, or give it another name');
  }
}

function checkTemplate({ selector, template }: WorkloadSpec, problems: Problem[]): void {
  const report = collect(problems);
  const labels = template?.metadata?.labels;
  checkLabels(labels, 'spec.template.metadata.labels', report);
  const terms = Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions?.length ?? 0);
  if (selector && terms === 0) {
    report('spec.selector', 'selects nothing; give it matchLabels that the template carries');
  } else if (selector && template && !matchesSelector(selector, labels)) {
    const wanted = JSON.stringify(selector.matchLabels ?? selector.matchExpressions);
    const message = `the selector ${wanted} does not match these labels; make spec.selector and the template agree`;
    report('spec.template.metadata.labels', message);
  }
  checkTemplateSpec(template, 'spec.template', problems);
  const { restartPolicy = 'Always', activeDeadlineSeconds } = template?.spec ?? {};
  if (restartPolicy !== 'Always') {
    report('spec.template.spec.restartPolicy', `${restartPolicy} is not allowed here; its pods always restart`);
  }
  if (activeDeadlineSeconds !== undefined) {
    report('spec.template.spec.activeDeadlineSeconds', 'is not allowed here: its pods run for ever; remove it');
  }
}

/** What holds for every pod template, whatever its owner. */
export function checkTemplateSpec(template: PodTemplateSpec | undefined, path: string, problems: Problem[]): void {
  const here = at(path, 'spec');
  checkPodSpec(template?.spec, here, collect(problems));
  checkNodeName(template?.spec, here, problems);
  checkTemplatePriority(template?.spec, here, collect(problems));
}

/** Its pods get the number of their class when they are made. */
export function checkTemplatePriority(spec: PodSpec | undefined, path: string, report: Report): void {
  if (!spec?.priority) return;
  report(at(path, 'priority'), "is the cluster's to set; set priorityClassName to a PriorityClass instead");
}

function checkStrategy({ strategy }: DeploymentSpec, report: Report): void {
  const rolling = strategy?.rollingUpdate;
  if (!rolling) return;
  if (strategy.type === 'Recreate') {
    report('spec.strategy.rollingUpdate', 'is not allowed with type Recreate; remove it');
    return;
  }
  const unavailable = amountOf(rolling.maxUnavailable, 'spec.strategy.rollingUpdate.maxUnavailable', report);
  const surge = amountOf(rolling.maxSurge, 'spec.strategy.rollingUpdate.maxSurge', report);
  if (rolling.maxUnavailable?.endsWith('%') && (unavailable ?? 0) > 100) {
    report('spec.strategy.rollingUpdate.maxUnavailable', `${rolling.maxUnavailable} is more than 100%`);
  }
  if (unavailable === 0 && surge === 0) {
    report('spec.strategy.rollingUpdate', 'maxUnavailable and maxSurge cannot both be 0: nothing could ever move');
  }
}

/** A number of pods or a percentage; undefined after a report. */
export function amountOf(text: string | undefined, path: string, report: Report): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{1,9})%?$/.exec(text);
  if (!match) report(path, `${JSON.stringify(text)} is neither a number of pods, such as 1, nor a part, such as "25%"`);
  return match ? Number(match[1]) : undefined;
}
