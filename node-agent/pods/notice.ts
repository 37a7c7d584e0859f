/** What a worker notices while it looks: ends of containers, and reasons to wait that people should hear of. */
import type { ContainerStatus } from '../runtime/runtime.ts';
import { containerPhase, type ObservedPod } from './observe.ts';
import { findContainer, type PodContext } from './pod-context.ts';

/** When each container ended on our clock, its last words, and what is over with it. */
export async function noteExits(context: PodContext, containers: readonly ContainerStatus[]): Promise<void> {
  const { activity, deps, uid } = context;
  for (const status of containers) {
    if (status.state !== 'exited' || activity.exits.has(status.id)) continue;
    const message = await deps.files.readTerminationMessage(uid, status.name, status.attempt);
    if (message) activity.terminationMessages.set(status.id, message);
    const agoMs = Math.max(0, deps.clock.nowMs() - (status.finishedAtMs ?? deps.clock.nowMs()));
    activity.exits.set(status.id, deps.clock.monotonicMs() - agoMs);
    activity.probes.delete(status.id);
    activity.stops.delete(status.id);
    activity.postStarts.delete(status.id);
    if (status.startedAtMs === undefined && status.message) {
      context.event('Warning', 'Failed', `Error: ${status.message}`, findContainer(context.record.pod, status.name));
    }
  }
  const present = new Set(containers.map(({ id }) => id));
  for (const id of activity.exits.keys()) {
    if (present.has(id)) continue;
    activity.exits.delete(id);
    activity.terminationMessages.delete(id);
  }
}

/** Events for what holds the pod up; each said once while it lasts. */
export function reportWaiting(context: PodContext, observed: ObservedPod): void {
  const { activity, deps } = context;
  const { spec } = context.record.pod;
  const said = new Map<string, () => void>();
  if (!observed.sandbox && observed.nodePressure !== undefined) {
    const sentence = observed.nodePressure;
    said.set(`pressure ${sentence}`, () => context.event('Warning', 'FailedCreatePodSandBox', sentence));
  }
  if (activity.volumesVersion === undefined) {
    for (const sentence of observed.sources.missingVolumes) {
      said.set(`volume ${sentence}`, () => context.event('Warning', 'FailedMount', sentence));
    }
  }
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    const phase = containerPhase(container, observed, !spec.containers.includes(container));
    const waits = phase.type === 'absent' || phase.type === 'restarting';
    const missing = observed.sources.missingEnv[container.name];
    if (waits && missing !== undefined) {
      said.set(`env ${missing}`, () => context.event('Warning', 'Failed', `Error: ${missing}`, container));
    }
    if (phase.type === 'restarting' && phase.dueAtMs > deps.clock.monotonicMs()) {
      const sentence = `Back-off restarting failed container ${container.name}`;
      said.set(`backoff ${phase.current.id}`, () => context.event('Warning', 'BackOff', sentence, container));
    }
  }
  for (const [key, say] of said) if (!activity.said.has(key)) say();
  activity.said = new Set(said.keys());
}
