/** `ctl describe` of jobs and cronjobs. Pure. */
import type { CronJob, Job, JobSpec, PodFailurePolicyRule } from '../../../proto/gen/types.ts';
import { jobDuration } from '../columns-workloads.ts';
import { annotationsField, conditionLines, controlledBy, indented, labelsField, none, timeText } from './lines.ts';
import { templateLines } from './template.ts';

export function jobLines(job: Job, nowMs: number): string[] {
  const { metadata, spec, status = {} } = job;
  const counts = [
    `${status.active ?? 0} Active (${status.ready ?? 0} Ready)`,
    `${status.succeeded ?? 0} Succeeded`,
    `${status.failed ?? 0} Failed`,
  ];
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    ...controlledBy(job),
    ...jobSpecLines(spec),
    ...(status.startTime ? [`Start Time:\t${timeText(status.startTime)}`] : []),
    ...(status.completionTime ? [`Completed At:\t${timeText(status.completionTime)}`] : []),
    ...(status.startTime ? [`Duration:\t${jobDuration(job, nowMs)}`] : []),
    `Pods Statuses:\t${counts.join(' / ')}`,
    ...(spec.completionMode === 'Indexed' ? [`Completed Indexes:\t${status.completedIndexes ?? '<none>'}`] : []),
    'Pod Template:',
    ...templateLines(spec.template),
    ...conditionLines(status.conditions, true),
    ...(status.conditions ?? []).flatMap(({ type, message }) =>
      type === 'Failed' && message ? [`Message:\t${message}`] : [],
    ),
  ];
}

export function cronJobLines({ metadata, spec, status = {} }: CronJob): string[] {
  const { jobTemplate, startingDeadlineSeconds } = spec;
  const timeOrNone = (time: string | undefined): string => (time === undefined ? none : timeText(time));
  return [
    `Name:\t${metadata.name}`,
    `Namespace:\t${metadata.namespace ?? ''}`,
    ...labelsField('Labels', metadata.labels),
    ...annotationsField(metadata.annotations),
    `Schedule:\t${spec.schedule}`,
    `Time Zone:\t${spec.timeZone ?? 'UTC'}`,
    `Concurrency Policy:\t${spec.concurrencyPolicy ?? 'Allow'}`,
    `Suspend:\t${spec.suspend ?? false}`,
    `Successful Job History Limit:\t${spec.successfulJobsHistoryLimit ?? 3}`,
    `Failed Job History Limit:\t${spec.failedJobsHistoryLimit ?? 1}`,
    `Starting Deadline Seconds:\t${startingDeadlineSeconds === undefined ? '<unset>' : `${startingDeadlineSeconds}s`}`,
    ...jobSpecLines(jobTemplate.spec),
    'Pod Template:',
    ...templateLines(jobTemplate.spec.template),
    `Last Schedule Time:\t${timeOrNone(status.lastScheduleTime)}`,
    `Last Successful Time:\t${timeOrNone(status.lastSuccessfulTime)}`,
    `Active Jobs:\t${(status.active ?? []).map(({ name }) => name).join(', ') || none}`,
  ];
}

function jobSpecLines(spec: JobSpec): string[] {
  const optional = (name: string, value: number | undefined, unit: string): string[] =>
    value === undefined ? [] : [`${name}:\t${value}${unit}`];
  return [
    `Parallelism:\t${spec.parallelism ?? 1}`,
    `Completions:\t${spec.completions ?? '<unset>'}`,
    `Completion Mode:\t${spec.completionMode ?? 'NonIndexed'}`,
    `Suspend:\t${spec.suspend ?? false}`,
    `Backoff Limit:\t${spec.backoffLimit ?? 6}`,
    ...optional('TTL Seconds After Finished', spec.ttlSecondsAfterFinished, 's'),
    ...optional('Active Deadline Seconds', spec.activeDeadlineSeconds, 's'),
    ...(spec.podFailurePolicy ? ['Pod Failure Policy:', ...indented(spec.podFailurePolicy.rules.map(ruleText))] : []),
  ];
}

function ruleText({ action, onExitCodes }: PodFailurePolicyRule): string {
  const { containerName, operator, values } = onExitCodes;
  const where = containerName === undefined ? 'any container' : `container ${containerName}`;
  return `${action}:\texit code of ${where} ${operator === 'In' ? 'in' : 'not in'} (${values.join(',')})`;
}
