/**
 * Which refusals are worth a write. A pod's condition says why it waits; while a cluster fills up the same reasons come
 * with other numbers in every pass, and ten thousand waiting pods must not become ten thousand writes each time.
 */
import { encodeObject } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { withScheduled } from './bind.ts';
import type { Unschedulable } from './schedule.ts';
import type { Part } from './write-parts.ts';

/** So long numbers alone may be behind. */
export const numbersRestMs = 10_000;

export class Refusals {
  /** By uid, when the pod was last told. */
  readonly #toldMs = new Map<string, number>();

  /** Those to be told now, and whether others have only to wait for their numbers. Forgets pods that wait no more. */
  due(refused: readonly Unschedulable[], monotonicMs: number): { now: readonly Unschedulable[]; later: boolean } {
    const waiting = new Set(refused.map(({ pod }) => pod.metadata.uid!));
    for (const uid of this.#toldMs.keys()) if (!waiting.has(uid)) this.#toldMs.delete(uid);
    let later = false;
    const now = refused.filter(({ pod, message }) => {
      const before = told(pod);
      if (before === undefined) return true;
      if (before === message) return false;
      const restsMs = (this.#toldMs.get(pod.metadata.uid!) ?? Number.NEGATIVE_INFINITY) + numbersRestMs - monotonicMs;
      if (restsMs <= 0 || withoutNumbers(before) !== withoutNumbers(message)) return true;
      later = true;
      return false;
    });
    return { now, later };
  }

  tell(pod: Pod, monotonicMs: number): void {
    this.#toldMs.set(pod.metadata.uid!, monotonicMs);
  }
}

export function refusalPart(refusal: Unschedulable, nowMs: number): Part<Unschedulable> {
  const { pod, message } = refusal;
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message } as const;
  const status = { ...pod.status, conditions: withScheduled(pod, condition, nowMs) };
  const key = keyOf(pod);
  return {
    of: refusal,
    compare: [modRevisionIs(key, revisionOf(pod))],
    success: [putOf(key, encodeObject({ ...pod, status }))],
  };
}

/** What its condition says now. */
function told({ status }: Pod): string | undefined {
  const condition = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return condition?.status === 'False' ? (condition.message ?? '') : undefined;
}

const withoutNumbers = (message: string): string => message.replace(/\d+/g, '#');
