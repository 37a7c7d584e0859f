import { keyOf } from '../../../lib/model/keys.ts';
import type { UsageOf } from '../../metrics/pod-usage.ts';
import { objectAt, sidesOf } from '../keys-of.ts';
import type { Controller } from '../run-controller.ts';
import type { Memory } from './memory.ts';
import { reconcileAutoscaler } from './reconcile.ts';

/** One for each term: what it remembers is of its own time. */
export function horizontalPodAutoscalerController({ podUsage }: { readonly podUsage: UsageOf }): Controller {
  const memories = new Map<string, Memory>();
  return {
    name: 'horizontal-pod-autoscaler',
    reconcile(snapshot, key, nowMs) {
      const autoscaler = objectAt(snapshot, 'HorizontalPodAutoscaler', key);
      const outcome = autoscaler && reconcileAutoscaler(snapshot, autoscaler, podUsage, memories.get(key), nowMs);
      if (outcome?.memory) memories.set(key, outcome.memory);
      else memories.delete(key);
      return outcome?.result ?? { changes: [] };
    },
    *keysOf(change) {
      for (const object of sidesOf(change)) if (object.kind === 'HorizontalPodAutoscaler') yield keyOf(object);
    },
  };
}
