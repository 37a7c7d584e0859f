/** Conditions: one observation of each type; lastTransitionTime moves only when the status does. */
import type { Condition } from '../../proto/gen/types.ts';
import { timestamp } from '../clock.ts';

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function conditionStatus(conditions: readonly Condition[] | undefined, type: string): Condition['status'] {
  return findCondition(conditions, type)?.status ?? 'Unknown';
}

/** A new list with this condition in it; the old one when nothing would change. */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  wanted: Omit<Condition, 'lastTransitionTime'>,
  nowMs: number,
): Condition[] {
  const all = [...(conditions ?? [])];
  const index = all.findIndex(({ type }) => type === wanted.type);
  const current = all[index];
  const since = current?.status === wanted.status ? current.lastTransitionTime : undefined;
  const next: Condition = { ...wanted, lastTransitionTime: since ?? timestamp(nowMs) };
  if (index < 0) all.push(next);
  else all[index] = next;
  return all;
}
