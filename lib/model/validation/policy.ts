/** PriorityClass and PodDisruptionBudget. */
import type { PodDisruptionBudget, PriorityClass } from '../../../proto/gen/types.ts';
import { highestClientPriority, systemClassPrefix } from '../priority.ts';
import { checkSelector, type Report } from './checks.ts';
import { amountOf } from './workloads.ts';

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

export function checkDisruptionBudget({ spec }: PodDisruptionBudget, report: Report): void {
  if (!spec) return;
  const { minAvailable, maxUnavailable, selector } = spec;
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    report('spec', 'has minAvailable and maxUnavailable; keep exactly one of them');
  }
  for (const field of ['minAvailable', 'maxUnavailable'] as const) {
    const text = spec[field];
    const number = amountOf(text, `spec.${field}`, report);
    if (text?.endsWith('%') && (number ?? 0) > 100) report(`spec.${field}`, `${text} is more than 100%`);
  }
  checkSelector(selector, 'spec.selector', report);
}
