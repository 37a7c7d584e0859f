/** What Gantry lacks of workloads, autoscalers and quotas. */
import { always, isOneOf, later, type UnsupportedTable } from './reasons.ts';

/** What Kubernetes writes into every Job. */
function isGeneratedSelector(value: unknown): boolean {
  const { matchLabels, ...rest } = (value ?? {}) as { matchLabels?: object | null };
  const generated = Object.keys(matchLabels ?? {}).every((key) =>
    /^(batch\.kubernetes\.io\/)?controller-uid$/.test(key),
  );
  return generated && Object.keys(rest).length === 0;
}

const otherMetric = later('metrics other than cpu and memory of whole pods', 'use type Resource');

export const workloadFields: UnsupportedTable = {
  'RollingUpdateDaemonSet.maxSurge': {
    ...later('surge for DaemonSets', 'use maxUnavailable'),
    harmless: isOneOf(0, '0', '0%'),
  },
  'DaemonSetSpec.templateGeneration': { reason: 'it is gone from apps/v1', cure: 'remove it', harmless: always },
  'JobSpec.selector': {
    reason: 'the cluster knows the pods of a Job by its uid',
    cure: 'remove it',
    harmless: isGeneratedSelector,
  },
  'JobSpec.manualSelector': {
    reason: 'the cluster knows the pods of a Job by its uid',
    cure: 'remove it',
    harmless: isOneOf(false),
  },
  'JobSpec.podReplacementPolicy': {
    reason: 'pods that are told to stop are replaced at once',
    cure: 'remove it',
    harmless: isOneOf('TerminatingOrFailed'),
  },
  'JobSpec.backoffLimitPerIndex': later('backoff limits for each index', 'use backoffLimit'),
  'JobSpec.maxFailedIndexes': later('backoff limits for each index', 'use backoffLimit'),
  'JobSpec.successPolicy': later('success policies', 'use completions'),
  'JobSpec.managedBy': {
    reason: 'the Job controller runs every Job',
    cure: 'remove it',
    harmless: isOneOf('kubernetes.io/job-controller'),
  },
  'PodFailurePolicyRule.onPodConditions': {
    reason: 'pods that are told to stop never count as failures',
    cure: 'remove the rule when its action is Ignore or Count; there is nothing instead of FailJob',
  },
  'StatefulSetSpec.persistentVolumeClaimRetentionPolicy': {
    reason: 'claims of a StatefulSet always stay',
    cure: 'remove it, and delete claims that are not needed any more',
    harmless: (value) => !Object.values(value ?? {}).includes('Delete'),
  },
  'RollingUpdateStatefulSet.maxUnavailable': {
    ...later('updates of several pods of a StatefulSet at once', 'remove it'),
    harmless: isOneOf(1, '1'),
  },
  'MetricSpec.pods': otherMetric,
  'MetricSpec.object': otherMetric,
  'MetricSpec.external': otherMetric,
  'MetricSpec.containerResource': otherMetric,
  'MetricTarget.value': {
    reason: 'what all pods use together is no target',
    cure: 'use averageValue or averageUtilization',
  },
  'ResourceQuotaSpec.scopeSelector': later('scope selectors', 'use scopes'),
  'DeploymentSpec.rollbackTo': { reason: 'it is gone from apps/v1', cure: 'use ctl rollout undo' },
};

/** Values of enumerations that Kubernetes has beside ours. */
export const workloadValues: UnsupportedTable = {
  'MetricSpec.type=Pods': otherMetric,
  'MetricSpec.type=Object': otherMetric,
  'MetricSpec.type=External': otherMetric,
  'MetricSpec.type=ContainerResource': otherMetric,
  'MetricTarget.type=Value': {
    reason: 'a resource of all pods together is no target',
    cure: 'use type AverageValue with averageValue, or Utilization with averageUtilization',
  },
  'PodFailurePolicyRule.action=FailIndex': later('backoff limits for each index', 'use FailJob'),
  'ResourceQuotaSpec.scopes=PriorityClass': later('quotas by priority', 'give these pods a namespace of their own'),
  'ResourceQuotaSpec.scopes=CrossNamespacePodAffinity': later('quotas by affinity', 'remove it'),
  'ResourceQuotaSpec.scopes=VolumeAttributesClass': later('volume attributes', 'remove it'),
};
