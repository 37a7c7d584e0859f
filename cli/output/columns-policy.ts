/** Columns of PriorityClasses. Pure. */
import type { PriorityClass } from '../../proto/gen/types.ts';
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
