/** Why pods are not ready, in the words of the pods themselves; for the condition that reports a stuck rollout. */
import { findCondition } from '../../../lib/model/conditions.ts';
import { isPodActive, isPodReady } from '../../../lib/model/pods.ts';
import type { Pod } from '../../../proto/gen/types.ts';

/** Undefined when no pod gives a reason. */
export function obstacleOf(pods: readonly Pod[]): string | undefined {
  const stuck = pods.filter((pod) => isPodActive(pod) && !isPodReady(pod));
  for (const pod of stuck) {
    const reason = reasonOf(pod);
    if (reason) return `${stuck.length} of ${pods.length} pods are not ready; ${pod.metadata.name}: ${reason}`;
  }
  return undefined;
}

function reasonOf(pod: Pod): string | undefined {
  const scheduled = findCondition(pod.status?.conditions, 'PodScheduled');
  if (scheduled?.status === 'False') return scheduled.message ?? scheduled.reason;
  const containers = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const waiting = containers.map(({ state }) => state?.waiting).find((state) => state?.reason !== undefined);
  if (!waiting) return findCondition(pod.status?.conditions, 'Ready')?.message;
  return waiting.message ? `${waiting.reason}: ${waiting.message}` : waiting.reason;
}
