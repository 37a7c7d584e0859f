/** What the containers of a pod need next, when the pod has its sandbox and its network. Pure. */
import type { Container, Pod } from '../../proto/gen/types.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import type { Action, Steps, Wait } from './actions.ts';
import { containerPhase, isInitialized, newestAttempt, type ObservedPod } from './observe.ts';
import { activeKinds, deathSentence, probeOf } from './probes.ts';
import { graceMs, stop } from './stop-steps.ts';

/** Images of everything that has never run, all at once and beside the steps that do not need them. */
export function* pullAhead(pod: Pod, observed: ObservedPod, nowMs: number): Steps {
  const initialized = isInitialized(observed);
  for (const container of [...(initialized ? [] : (pod.spec.initContainers ?? [])), ...pod.spec.containers]) {
    const init = !pod.spec.containers.includes(container);
    const phase = containerPhase(container, observed, init);
    if (phase.type === 'absent') yield* pull(container, phase.attempt, observed, nowMs);
  }
}

function* pull(container: Container, attempt: number, observed: ObservedPod, nowMs: number): Steps {
  const progress = observed.activity.images.get(container.name);
  const fits = progress?.reference === container.image && progress.attempt === attempt;
  if (fits && progress.state !== 'failed') return;
  if (fits && progress.retryAtMs > nowMs) yield { type: 'wait', untilMs: progress.retryAtMs };
  else yield { type: 'pullImage', container, attempt };
}

function hasImage(container: Container, attempt: number, { activity }: ObservedPod): boolean {
  const progress = activity.images.get(container.name);
  return progress?.state === 'present' && progress.reference === container.image && progress.attempt === attempt;
}

/** True when all init containers have succeeded. */
export function* runInit(pod: Pod, observed: ObservedPod, nowMs: number): Generator<Action | Wait, boolean, void> {
  if (isInitialized(observed)) return true;
  for (const container of pod.spec.initContainers ?? []) {
    const phase = containerPhase(container, observed, true);
    if (phase.type === 'finished' && phase.exitCode === 0) continue;
    yield* advance(container, observed, nowMs, true);
    return false;
  }
  return true;
}

export function* runContainers(pod: Pod, observed: ObservedPod, nowMs: number): Steps {
  for (const container of pod.spec.containers) {
    yield* advance(container, observed, nowMs, false);
    // A container waits for the postStart of those before it, as in Kubernetes.
    const current = newestAttempt(observed, container.name);
    const pending = container.lifecycle?.postStart && !observed.record.containers[container.name]?.postStarted;
    if (pending && (current === undefined || current.state !== 'exited')) return;
  }
}

/** The next step of one container. */
function* advance(container: Container, observed: ObservedPod, nowMs: number, init: boolean): Steps {
  const phase = containerPhase(container, observed, init);
  switch (phase.type) {
    case 'absent':
    case 'restarting': {
      const { attempt, quickRestarts, dueAtMs } = phase;
      if (nowMs < dueAtMs) return yield { type: 'wait', untilMs: dueAtMs };
      yield* pull(container, attempt, observed, nowMs);
      if (!hasImage(container, attempt, observed) || observed.sources.missingEnv[container.name]) return;
      return yield { type: 'createContainer', container, attempt, quickRestarts, init };
    }
    case 'created':
      return yield { type: 'startContainer', id: phase.current.id, container, init };
    case 'running':
      yield* tend(container, phase.current, observed, nowMs, init);
      return yield* forget(container, phase.current.attempt, observed);
    case 'finished':
      return;
  }
}

/** A container that runs: hooks, probes, and the reasons to end it. */
function* tend(
  container: Container,
  status: ContainerStatus,
  observed: ObservedPod,
  nowMs: number,
  init: boolean,
): Steps {
  const { activity, record } = observed;
  const { id, name, attempt } = status;
  const entry = record.containers[name];
  const grace = graceMs(record.pod);
  const underWay = activity.stops.get(id);
  if (underWay) return yield* stop(status, underWay.reason, underWay.graceMs, observed, nowMs);
  if (entry && entry.image !== container.image) {
    yield* pull(container, attempt + 1, observed, nowMs);
    if (hasImage(container, attempt + 1, observed)) {
      return yield* stop(status, 'imageChanged', grace, observed, nowMs);
    }
  }
  if (init) return;
  const probes = activity.probes.get(id);
  if (!probes) return yield { type: 'beginProbes', id, container };
  if (container.lifecycle?.postStart && !entry?.postStarted) {
    const hook = activity.postStarts.get(id);
    if (!hook) yield { type: 'postStart', id, container };
    else if (hook.state === 'failed') yield* stop(status, 'hookFailed', grace, observed, nowMs);
    return;
  }
  if (deathSentence(probes) !== undefined) {
    const own = container.livenessProbe?.terminationGracePeriodSeconds;
    return yield* stop(status, 'unhealthy', own === undefined ? grace : own * 1000, observed, nowMs);
  }
  for (const kind of activeKinds(probes)) {
    const state = probes[kind];
    if (!state || state.running || !probeOf(container, kind)) continue;
    if (state.nextAtMs > nowMs) yield { type: 'wait', untilMs: state.nextAtMs };
    else yield { type: 'probe', id, container, kind };
  }
}

/** Of the attempts that are over, the newest is kept: its end is the container's lastState. */
function* forget(container: Container, attempt: number, observed: ObservedPod): Steps {
  for (const status of observed.containers) {
    if (status.name === container.name && status.attempt < attempt - 1)
      yield { type: 'removeContainer', id: status.id };
  }
}
