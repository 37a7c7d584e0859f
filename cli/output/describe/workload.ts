/** `ctl describe` of deployments, replicasets, statefulsets and daemonsets. Pure. */
import { controllerOf, isSame } from '../../../lib/model/object.ts';
import { copyNamesOf, withOriginalNames } from '../../../lib/model/rollouts.ts';
import type {
  DaemonSet,
  Deployment,
  KubeObject,
  LabelSelector,
  Pod,
  PodTemplateSpec,
  ReplicaSet,
  StatefulSet,
} from '../../../proto/gen/types.ts';
import { annotationsField, conditionLines, controlledBy, labelsField, none, timeText } from './lines.ts';
import { templateLines } from './template.ts';

export function deploymentLines(deployment: Deployment, replicaSets: readonly ReplicaSet[]): string[] {
  const { metadata, spec, status = {} } = deployment;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0, unavailableReplicas = 0 } = status;
  const counts = [
    `${spec.replicas ?? 1} desired`,
    `${updatedReplicas} updated`,
    `${replicas} total`,
    `${availableReplicas} available`,
    `${unavailableReplicas} unavailable`,
  ];
  const { maxUnavailable = '25%', maxSurge = '25%' } = spec.strategy?.rollingUpdate ?? {};
  const strategy = spec.strategy?.type ?? 'RollingUpdate';
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}`,
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    `Selector:\t${selectorWords(spec.selector)}`,
    `Replicas:\t${counts.join(' | ')}`,
    `StrategyType:\t${strategy}`,
    `MinReadySeconds:\t${spec.minReadySeconds ?? 0}`,
    ...(strategy === 'RollingUpdate'
      ? [`RollingUpdateStrategy:\t${maxUnavailable} max unavailable, ${maxSurge} max surge`]
      : []),
    'Pod Template:',
    ...templateLines(spec.template),
    ...conditionLines(status.conditions, true),
    ...obstacleLines(deployment),
    ...rollbackLines(deployment),
    ...replicaSetLines(deployment, replicaSets),
  ];
}

/** What runs is not what the spec asks for. */
function rollbackLines({ status }: Deployment | DaemonSet | StatefulSet): string[] {
  const { revision, reason } = status?.rollback ?? {};
  if (revision === undefined) return [];
  const why = reason === 'Undo' ? 'as somebody asked for' : 'since the rollout missed its deadline';
  return [`Rollback:\t${revision} runs, ${why}, until template or configuration change`];
}

/** A condition that does not hold says why in its message. */
function obstacleLines({ status }: Deployment): string[] {
  const failed = (status?.conditions ?? []).filter(
    ({ type, status: value }) =>
      (type === 'Progressing' && value === 'False') || type === 'ReplicaFailure' || type === 'RolledBack',
  );
  return failed.flatMap(({ message }) => (message ? [`Message:\t${message}`] : []));
}

function replicaSetLines(deployment: Deployment, replicaSets: readonly ReplicaSet[]): string[] {
  const own = replicaSets.filter((replicaSet) => controllerOf(replicaSet)?.uid === deployment.metadata.uid);
  const wanted = withoutHash(deployment.spec.template);
  const isWanted = (one: ReplicaSet): boolean =>
    isSame(withoutHash(withOriginalNames(one.spec.template, copyNamesOf(one))), wanted);
  const revision = ({ metadata }: ReplicaSet): number =>
    Number(metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
  const [newest] = own.filter(isWanted).sort((a, b) => revision(b) - revision(a));
  const old = own.filter((replicaSet) => replicaSet !== newest && (replicaSet.status?.replicas ?? 0) > 0);
  const text = ({ metadata, spec, status }: ReplicaSet): string =>
    `${metadata.name} (${status?.replicas ?? 0}/${spec.replicas ?? 1} replicas created)`;
  return [`OldReplicaSets:\t${old.map(text).join(', ') || none}`, `NewReplicaSet:\t${newest ? text(newest) : none}`];
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { 'pod-template-hash': _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

export function replicaSetDescription(replicaSet: ReplicaSet, pods: readonly Pod[]): string[] {
  const { metadata, spec, status } = replicaSet;
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    `Selector:\t${selectorWords(spec.selector)}`,
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    ...controlledBy(replicaSet),
    `Replicas:\t${status?.replicas ?? 0} current / ${spec.replicas ?? 1} desired`,
    podsStatus(replicaSet, pods),
    'Pod Template:',
    ...templateLines(spec.template),
    ...conditionLines(status?.conditions, true),
  ];
}

export function daemonSetLines(daemonSet: DaemonSet, pods: readonly Pod[]): string[] {
  const { metadata, spec, status = {} } = daemonSet;
  const { type = 'RollingUpdate', rollingUpdate } = spec.updateStrategy ?? {};
  const bound = type === 'RollingUpdate' ? ` (${rollingUpdate?.maxUnavailable ?? '1'} max unavailable)` : '';
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    `Selector:\t${selectorWords(spec.selector)}`,
    ...labelsField('Node-Selector', spec.template.spec.nodeSelector),
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    `Update Strategy:\t${type}${bound}`,
    `Desired Number of Nodes Scheduled:\t${status.desiredNumberScheduled ?? 0}`,
    `Current Number of Nodes Scheduled:\t${status.currentNumberScheduled ?? 0}`,
    `Number of Nodes Scheduled with Up-to-date Pods:\t${status.updatedNumberScheduled ?? 0}`,
    `Number of Nodes Scheduled with Available Pods:\t${status.numberAvailable ?? 0}`,
    `Number of Nodes Misscheduled:\t${status.numberMisscheduled ?? 0}`,
    podsStatus(daemonSet, pods),
    'Pod Template:',
    ...templateLines(spec.template),
    ...conditionLines(status.conditions, true),
    ...rollbackLines(daemonSet),
  ];
}

export function statefulSetLines(statefulSet: StatefulSet, pods: readonly Pod[]): string[] {
  const { metadata, spec, status = {} } = statefulSet;
  const { type = 'RollingUpdate', rollingUpdate } = spec.updateStrategy ?? {};
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}`,
    `Selector:\t${selectorWords(spec.selector)}`,
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    `Replicas:\t${spec.replicas ?? 1} desired | ${status.replicas ?? 0} total`,
    `Service Name:\t${spec.serviceName ?? none}`,
    `Pod Management:\t${spec.podManagementPolicy ?? 'OrderedReady'}`,
    `Update Strategy:\t${type}`,
    ...(type === 'RollingUpdate' ? [`  Partition:\t${rollingUpdate?.partition ?? 0}`] : []),
    `Revisions:\t${status.currentReplicas ?? 0} of ${status.currentRevision ?? none} | ${status.updatedReplicas ?? 0} of ${status.updateRevision ?? none}`,
    podsStatus(statefulSet, pods),
    'Pod Template:',
    ...templateLines(spec.template),
    ...conditionLines(status.conditions, true),
    ...rollbackLines(statefulSet),
  ];
}

/** Of the pods that are the owner's own. */
export function podsStatus({ metadata }: KubeObject, pods: readonly Pod[]): string {
  const own = pods.filter((pod) => controllerOf(pod)?.uid === metadata.uid);
  const count = (phase: string): number => own.filter((pod) => (pod.status?.phase ?? 'Pending') === phase).length;
  const phases = [
    `${count('Running')} Running`,
    `${count('Pending')} Waiting`,
    `${count('Succeeded')} Succeeded`,
    `${count('Failed')} Failed`,
  ];
  return `Pods Status:\t${phases.join(' / ')}`;
}

export function selectorWords({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator.toLowerCase()} (${values.join(',')})`;
  });
  return [...labels, ...expressions].join(',') || none;
}
