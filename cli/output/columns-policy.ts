/** Columns of PriorityClasses, PodDisruptionBudgets, ResourceQuotas and LimitRanges. Pure. */
import type { LimitRange, PodDisruptionBudget, PriorityClass, ResourceQuota } from '../../proto/gen/types.ts';
import { age } from './age.ts';
import type { Column } from './table.ts';

export function priorityClassColumns(nowMs: number): readonly Column<PriorityClass>[] {
  return [
    { header: 'NAME', cell: ({ metadata }) => metadata.name },
    { header: 'VALUE', cell: ({ value }) => String(value) },
    { header: 'GLOBAL-DEFAULT', cell: ({ globalDefault }) => String(globalDefault ?? false) },
    { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) },
    { header: 'PREEMPTIONPOLICY', cell: ({ preemptionPolicy }) => preemptionPolicy ?? 'PreemptLowerPriority' },
  ];
}

export function disruptionBudgetColumns(nowMs: number): readonly Column<PodDisruptionBudget>[] {
  return [
    { header: 'NAME', cell: ({ metadata }) => metadata.name },
    { header: 'MIN AVAILABLE', cell: ({ spec }) => spec.minAvailable ?? 'N/A' },
    { header: 'MAX UNAVAILABLE', cell: ({ spec }) => spec.maxUnavailable ?? 'N/A' },
    { header: 'ALLOWED DISRUPTIONS', cell: ({ status }) => String(status?.disruptionsAllowed ?? 0) },
    { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) },
  ];
}

export function resourceQuotaColumns(nowMs: number): readonly Column<ResourceQuota>[] {
  return [
    { header: 'NAME', cell: ({ metadata }) => metadata.name },
    { header: 'REQUEST', cell: (quota) => usedOf(quota, (resource) => !resource.startsWith('limits.')) },
    { header: 'LIMIT', cell: (quota) => usedOf(quota, (resource) => resource.startsWith('limits.')) },
    { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) },
  ];
}

/** `pods: 3/10, requests.cpu: 1/4` */
function usedOf({ spec, status }: ResourceQuota, isShown: (resource: string) => boolean): string {
  const shown = Object.entries(spec.hard ?? {}).filter(([resource]) => isShown(resource));
  const parts = shown.map(([resource, hard]) => `${resource}: ${status?.used?.[resource] ?? '?'}/${hard}`);
  return parts.sort().join(', ');
}

export const limitRangeColumns: readonly Column<LimitRange>[] = [
  { header: 'NAME', cell: ({ metadata }) => metadata.name },
  { header: 'CREATED AT', cell: ({ metadata }) => metadata.creationTimestamp ?? '<unknown>' },
];
