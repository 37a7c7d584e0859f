/** Ending a container: preStop, its signal, the grace, SIGKILL. Pure. */
import type { Pod } from '../../proto/gen/types.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import type { Steps } from './actions.ts';
import type { StopReason } from './activity.ts';
import type { ObservedPod } from './observe.ts';

const defaultGraceSeconds = 30;

/** How long the pod's containers may take to end by themselves. */
export function graceMs(pod: Pod): number {
  const { deletionGracePeriodSeconds } = pod.metadata;
  return (deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1000;
}

/** A container that ignored even SIGKILL (stuck in the kernel) is told again now and then. */
const killAgainMs = 5_000;
/** What is left after a preStop hook that used up all the grace, as in Kubernetes. */
const graceAfterHookMs = 2_000;

export function* stop(
  status: ContainerStatus,
  reason: StopReason,
  containerGraceMs: number,
  observed: ObservedPod,
  nowMs: number,
): Steps {
  const { id, name } = status;
  const progress = observed.activity.stops.get(id);
  if (!progress) return yield { type: 'beginStop', id, name, reason, graceMs: containerGraceMs };
  const effectiveGraceMs = Math.min(containerGraceMs, progress.graceMs);
  const endMs = progress.startedAtMs + effectiveGraceMs;
  if (progress.preStop === 'running' && nowMs < endMs) return yield { type: 'wait', untilMs: endMs };
  const killAtMs =
    progress.preStopEndedAtMs === undefined ? endMs : Math.max(endMs, progress.preStopEndedAtMs + graceAfterHookMs);
  if (effectiveGraceMs > 0 && progress.signalledAtMs === undefined) {
    const signal = observed.record.containers[name]?.stopSignal ?? 'SIGTERM';
    return yield { type: 'signalContainer', id, signal };
  }
  const dueMs = progress.killedAtMs === undefined ? killAtMs : progress.killedAtMs + killAgainMs;
  if (nowMs < dueMs) yield { type: 'wait', untilMs: dueMs };
  else yield { type: 'signalContainer', id, signal: 'SIGKILL' };
}
