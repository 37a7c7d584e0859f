/** `ctl describe deployment` and `replicaset`. Pure. */
import { controllerOf, isSame } from '../../../lib/model/object.ts';
import type { Deployment, LabelSelector, Pod, PodTemplateSpec, ReplicaSet } from '../../../proto/gen/types.ts';
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
    ...replicaSetLines(deployment, replicaSets),
  ];
}

/** A condition that does not hold says why in its message. */
function obstacleLines({ status }: Deployment): string[] {
  const failed = (status?.conditions ?? []).filter(
    ({ type, status: value }) => (type === 'Progressing' && value === 'False') || type === 'ReplicaFailure',
  );
  return failed.flatMap(({ message }) => (message ? [`Message:\t${message}`] : []));
}

function replicaSetLines(deployment: Deployment, replicaSets: readonly ReplicaSet[]): string[] {
  const own = replicaSets.filter((replicaSet) => controllerOf(replicaSet)?.uid === deployment.metadata.uid);
  const newest = own.find(({ spec }) => isSame(withoutHash(spec.template), withoutHash(deployment.spec.template)));
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
  const own = pods.filter((pod) => controllerOf(pod)?.uid === metadata.uid);
  const phase = (wanted: string): number => own.filter((pod) => (pod.status?.phase ?? 'Pending') === wanted).length;
  const phases = [
    `${phase('Running')} Running`,
    `${phase('Pending')} Waiting`,
    `${phase('Succeeded')} Succeeded`,
    `${phase('Failed')} Failed`,
  ];
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    `Selector:\t${selectorWords(spec.selector)}`,
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    ...controlledBy(replicaSet),
    `Replicas:\t${status?.replicas ?? 0} current / ${spec.replicas ?? 1} desired`,
    `Pods Status:\t${phases.join(' / ')}`,
    'Pod Template:',
    ...templateLines(spec.template),
    ...conditionLines(status?.conditions, true),
  ];
}

function selectorWords({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator.toLowerCase()} (${values.join(',')})`;
  });
  return [...labels, ...expressions].join(',') || none;
}
