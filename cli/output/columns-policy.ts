/** Columns of PriorityClasses and PodDisruptionBudgets. Pure. */
import type { PodDisruptionBudget, PriorityClass } from '../../proto/gen/types.ts';
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
