/** Columns of StatefulSets, DaemonSets, Jobs, CronJobs and the histories of templates. Pure. */
import { findCondition } from '../../lib/model/conditions.ts';
import { controllerOf } from '../../lib/model/object.ts';
import type { ControllerRevision, CronJob, DaemonSet, Job, StatefulSet } from '../../proto/gen/types.ts';
import { groupedKind } from '../resources.ts';
import { age, shortDuration } from './age.ts';
import { ageColumn, labelsText, nameColumn, none, templateColumns } from './column-parts.ts';
import type { Column } from './table.ts';

export function daemonSetColumns(nowMs: number): readonly Column<DaemonSet>[] {
  return [
    nameColumn,
    { header: 'DESIRED', cell: ({ status }) => String(status?.desiredNumberScheduled ?? 0) },
    { header: 'CURRENT', cell: ({ status }) => String(status?.currentNumberScheduled ?? 0) },
    { header: 'READY', cell: ({ status }) => String(status?.numberReady ?? 0) },
    { header: 'UP-TO-DATE', cell: ({ status }) => String(status?.updatedNumberScheduled ?? 0) },
    { header: 'AVAILABLE', cell: ({ status }) => String(status?.numberAvailable ?? 0) },
    { header: 'NODE SELECTOR', cell: ({ spec }) => labelsText(spec.template.spec.nodeSelector) },
    ageColumn(nowMs),
    ...templateColumns(),
  ];
}

export function statefulSetColumns(nowMs: number): readonly Column<StatefulSet>[] {
  return [
    nameColumn,
    { header: 'READY', cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}` },
    ageColumn(nowMs),
    ...templateColumns(),
  ];
}

export function controllerRevisionColumns(nowMs: number): readonly Column<ControllerRevision>[] {
  return [
    nameColumn,
    { header: 'CONTROLLER', cell: ownerOf },
    { header: 'REVISION', cell: ({ revision }) => String(revision ?? 0) },
    ageColumn(nowMs),
  ];
}

export function jobColumns(nowMs: number): readonly Column<Job>[] {
  return [
    nameColumn,
    { header: 'STATUS', cell: jobState },
    { header: 'COMPLETIONS', cell: completionsText },
    { header: 'DURATION', cell: (job) => jobDuration(job, nowMs) },
    ageColumn(nowMs),
    ...templateColumns(),
  ];
}

function jobState({ metadata, status }: Job): string {
  const holds = (type: string): boolean => findCondition(status?.conditions, type)?.status === 'True';
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  return holds('Suspended') ? 'Suspended' : 'Running';
}

function completionsText({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const { parallelism = 1 } = spec;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

/** From its start to its end, or until now. */
export function jobDuration({ status }: Job, nowMs: number): string {
  if (!status?.startTime) return '';
  const failed = findCondition(status.conditions, 'Failed');
  const end = status.completionTime ?? (failed?.status === 'True' ? failed.lastTransitionTime : undefined);
  return shortDuration((end === undefined ? nowMs : Date.parse(end)) - Date.parse(status.startTime));
}

export function cronJobColumns(nowMs: number): readonly Column<CronJob>[] {
  return [
    nameColumn,
    { header: 'SCHEDULE', cell: ({ spec }) => spec.schedule },
    { header: 'TIMEZONE', cell: ({ spec }) => spec.timeZone ?? none },
    { header: 'SUSPEND', cell: ({ spec }) => (spec.suspend ? 'True' : 'False') },
    { header: 'ACTIVE', cell: ({ status }) => String(status?.active?.length ?? 0) },
    {
      header: 'LAST SCHEDULE',
      cell: ({ status }) => (status?.lastScheduleTime === undefined ? none : age(status.lastScheduleTime, nowMs)),
    },
    ageColumn(nowMs),
    ...templateColumns(),
  ];
}

function ownerOf(revision: ControllerRevision): string {
  const owner = controllerOf(revision);
  return owner ? `${groupedKind(owner.kind)}/${owner.name}` : none;
}
