/** PriorityClass. */
import type { PriorityClass } from '../../../proto/gen/types.ts';
import { highestClientPriority, systemClassPrefix } from '../priority.ts';
import type { Report } from './checks.ts';

export function checkPriorityClass(
  { metadata, value, preemptionPolicy = 'PreemptLowerPriority' }: PriorityClass,
  old: PriorityClass | undefined,
  report: Report,
): void {
  if (metadata?.name?.startsWith(systemClassPrefix)) {
    report('metadata.name', `names with "${systemClassPrefix}" are the system's own; choose another one`);
  }
  if (value > highestClientPriority) {
    report('value', `${value} is too high; at most ${highestClientPriority}, above are the system's own classes`);
  }
  if (!old) return;
  const cure = 'never changes: pods have it already; delete the class and create it again';
  if (value !== old.value) report('value', cure);
  if (preemptionPolicy !== (old.preemptionPolicy ?? 'PreemptLowerPriority')) report('preemptionPolicy', cure);
}
