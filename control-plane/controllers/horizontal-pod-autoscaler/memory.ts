/** What is known of one autoscaler's past: in the leader's memory, for as long as it leads. Pure. */
import { isSame } from '../../../lib/model/object.ts';
import type { HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus } from '../../../proto/gen/types.ts';
import type { History } from './behavior.ts';

/** The longest period of a policy, and the longest window. */
const longestMemoryMs = 3_600_000;

/** Of one autoscaler, between two looks at it. */
export interface Memory extends History {
  readonly uid: string;
  readonly generation: number | undefined;
  readonly nextAtMs: number;
  /** What was to be written last. */
  readonly wished?: { readonly status: HorizontalPodAutoscalerStatus; readonly change: number; readonly atMs: number };
}

/** Memory of this very object, with the last scaling in it if that was written. */
export function remembered(autoscaler: HorizontalPodAutoscaler, before: Memory | undefined, nowMs: number): Memory {
  const { uid = '', generation } = autoscaler.metadata;
  if (before?.uid !== uid) return { uid, generation, nextAtMs: nowMs, recommendations: [], scalings: [] };
  const { wished } = before;
  const landed = wished && wished.change !== 0 && isWritten(before, autoscaler);
  const scalings = landed ? [...before.scalings, { atMs: wished.atMs, change: wished.change }] : before.scalings;
  // Nothing of what a clock that was ahead has noted: it would count until that time has come.
  const recent = ({ atMs }: { readonly atMs: number }): boolean => atMs <= nowMs && nowMs - atMs < longestMemoryMs;
  return {
    ...before,
    generation,
    scalings: scalings.filter(recent),
    recommendations: before.recommendations.filter(recent),
    nextAtMs: before.generation === generation ? before.nextAtMs : nowMs,
    ...(landed && { wished: { ...wished, change: 0 } }),
  };
}

export function isWritten({ wished }: Memory, { status }: HorizontalPodAutoscaler): boolean {
  return wished !== undefined && isSame(status, wished.status);
}
