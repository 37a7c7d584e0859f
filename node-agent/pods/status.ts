/** What the agent says of a pod: PodStatus from what is observed. Pure. Kubernetes' words and rules throughout. */
import { timestamp } from '../../lib/clock.ts';
import type {
  Condition,
  Container,
  ContainerState,
  ContainerStateTerminated,
  ContainerStatus,
  Pod,
  PodStatus,
} from '../../proto/gen/types.ts';
import type { ContainerStatus as RuntimeStatus } from '../runtime/runtime.ts';
import {
  containerPhase,
  exitCodeOf,
  hasStarted,
  isContainerReady,
  isInitialized,
  newestAttempt,
  type ObservedPod,
} from './observe.ts';
import { qosClass } from './resources.ts';

export interface StatusInput {
  readonly pod: Pod;
  readonly observed: ObservedPod;
  /** What was reported last, for the times of transitions. */
  readonly previous: PodStatus | undefined;
  /** Wall clock. */
  readonly nowMs: number;
  /** Monotonic. */
  readonly monotonicMs: number;
  /** Set when the pod ends for a reason of its own. */
  readonly ending?: { readonly reason?: string; readonly message?: string };
}

export function podStatus(input: StatusInput): PodStatus {
  const { pod, observed } = input;
  if (observed.record.finalStatus) return observed.record.finalStatus;
  const { spec } = pod;
  const initContainerStatuses = (spec.initContainers ?? []).map((container) => containerStatus(container, input, true));
  const containerStatuses = spec.containers.map((container) => containerStatus(container, input, false));
  const phase = input.ending?.reason ? 'Failed' : podPhase(pod, initContainerStatuses, containerStatuses);
  const { hostIP, podIP, podIPs } = pod.status ?? {};
  const message = input.ending?.message ?? waitingMessage(observed);
  return {
    phase,
    conditions: conditions(input, phase, containerStatuses),
    ...(input.ending?.reason !== undefined && { reason: input.ending.reason }),
    ...(message !== undefined && { message }),
    ...(hostIP !== undefined && { hostIP }),
    ...(podIP !== undefined && { podIP }),
    ...(podIPs !== undefined && { podIPs }),
    startTime: timestamp(observed.record.startedAtMs),
    containerStatuses,
    ...(initContainerStatuses.length > 0 && { initContainerStatuses }),
    qosClass: qosClass(spec),
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
  };
}

/** Why the pod as a whole does not come up, if it does not. */
function waitingMessage({ activity, sources, nodePressure, sandbox }: ObservedPod): string | undefined {
  if (!sandbox && nodePressure !== undefined) return nodePressure;
  if (sources.missingVolumes.length > 0 && activity.volumesVersion === undefined) return sources.missingVolumes[0];
  for (const step of ['prepareVolumes', 'createSandbox', 'attachNetwork']) {
    const failure = activity.failures.get(step);
    if (failure) return failure.message;
  }
  return undefined;
}

/** Kubernetes' getPhase. */
function podPhase(
  pod: Pod,
  init: readonly ContainerStatus[],
  containers: readonly ContainerStatus[],
): NonNullable<PodStatus['phase']> {
  const policy = pod.spec.restartPolicy ?? 'Always';
  if (policy === 'Never' && init.some((status) => (status.state?.terminated?.exitCode ?? 0) !== 0)) return 'Failed';
  let running = 0;
  let succeeded = 0;
  let failed = 0;
  for (const { state, lastState } of containers) {
    const terminated = state?.terminated ?? (state?.waiting ? lastState?.terminated : undefined);
    if (state?.running) running += 1;
    else if (!terminated) return 'Pending';
    else if (terminated.exitCode === 0) succeeded += 1;
    else failed += 1;
  }
  if (running > 0 || policy === 'Always') return 'Running';
  if (failed === 0 && succeeded === containers.length) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

function conditions(
  input: StatusInput,
  phase: PodStatus['phase'],
  statuses: readonly ContainerStatus[],
): readonly Condition[] & Condition[] {
  const { pod, observed, previous, nowMs } = input;
  const before = previous?.conditions ?? pod.status?.conditions ?? [];
  const build = (type: string, holds: boolean, reason?: string, message?: string): Condition => {
    const status = holds ? 'True' : 'False';
    const old = before.find((condition) => condition.type === type);
    const lastTransitionTime = old?.status === status ? old.lastTransitionTime : undefined;
    return {
      type,
      status,
      ...(!holds && reason !== undefined && { reason }),
      ...(!holds && message !== undefined && { message }),
      lastTransitionTime: lastTransitionTime ?? timestamp(nowMs),
    };
  };
  const notReady = statuses.filter((status) => !status.ready).map((status) => status.name);
  const allReady = notReady.length === 0;
  const reason = phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : 'ContainersNotReady';
  const message = `containers with unready status: [${notReady.join(' ')}]`;
  const pendingInit = (pod.spec.initContainers ?? []).map((container) => container.name);
  const initialized = isInitialized(observed);
  const scheduled = before.find((condition) => condition.type === 'PodScheduled');
  return [
    scheduled ?? build('PodScheduled', true),
    build(
      'Initialized',
      initialized,
      'ContainersNotInitialized',
      `containers with incomplete status: [${pendingInit.join(' ')}]`,
    ),
    build('ContainersReady', allReady, reason, message),
    build('Ready', allReady, reason, message),
  ];
}

function containerStatus(container: Container, input: StatusInput, init: boolean): ContainerStatus {
  const { observed } = input;
  const entry = observed.record.containers[container.name];
  const state = containerState(container, input, init);
  const current = newestAttempt(observed, container.name);
  const shown = state.waiting ? undefined : current;
  const last = lastTermination(container, observed, state.waiting !== undefined);
  const newest = lastRun(container.name, observed);
  const ready = init
    ? current?.state === 'exited' && exitCodeOf(current) === 0
    : shown !== undefined && isContainerReady(observed, container) && !observed.activity.stops.has(shown.id);
  return {
    name: container.name,
    state,
    ...(last && { lastState: { terminated: last } }),
    ready,
    restartCount: Math.max(0, entry ? Math.max(entry.attempt, entry.firstAttempt) : 0),
    image: container.image,
    ...(newest && { imageID: newest.imageId, containerID: `runc://${newest.id}` }),
    started: init ? current?.state === 'running' : hasStarted(observed, container),
  };
}

/** As in Kubernetes a container has ids once it has run; each step on the way there would also cost a write in etcd. */
function lastRun(name: string, { containers }: ObservedPod): RuntimeStatus | undefined {
  return containers
    .filter((status) => status.name === name && status.state !== 'created')
    .sort((a, b) => a.attempt - b.attempt)
    .at(-1);
}

/** The end of the run before the one that `state` tells of. */
function lastTermination(
  container: Container,
  observed: ObservedPod,
  waiting: boolean,
): ContainerStateTerminated | undefined {
  const current = newestAttempt(observed, container.name);
  const before = observed.containers
    .filter((status) => status.name === container.name && status.state === 'exited')
    .filter((status) => (waiting ? true : status.attempt < (current?.attempt ?? 0)))
    .sort((a, b) => a.attempt - b.attempt)
    .at(-1);
  return before && terminated(before, observed);
}

function containerState(container: Container, input: StatusInput, init: boolean): ContainerState {
  const { observed, monotonicMs } = input;
  const phase = containerPhase(container, observed, init);
  switch (phase.type) {
    case 'running':
      return { running: { startedAt: timestamp(phase.current.startedAtMs ?? phase.current.createdAtMs) } };
    case 'finished':
      return { terminated: terminated(phase.current, observed) };
    case 'restarting':
      return restartingState(container, observed, phase, monotonicMs);
    case 'created':
    case 'absent':
      return { waiting: waitingState(container, observed, init) };
  }
}

function restartingState(
  container: Container,
  observed: ObservedPod,
  phase: { readonly current: RuntimeStatus; readonly dueAtMs: number },
  monotonicMs: number,
): ContainerState {
  const blocked = blockedReason(container, observed);
  if (blocked) return { waiting: blocked };
  if (phase.dueAtMs <= monotonicMs) return { terminated: terminated(phase.current, observed) };
  const exitedAtMs = observed.activity.exits.get(phase.current.id) ?? phase.dueAtMs;
  const delaySeconds = Math.round((phase.dueAtMs - exitedAtMs) / 1000);
  const message = `back-off ${delaySeconds}s restarting failed container=${container.name}; see its logs with --previous`;
  return { waiting: { reason: 'CrashLoopBackOff', message } };
}

function waitingState(
  container: Container,
  observed: ObservedPod,
  init: boolean,
): { reason: string; message?: string } {
  const blocked = blockedReason(container, observed);
  if (blocked) return blocked;
  const hasInit = (observed.record.pod.spec.initContainers ?? []).length > 0;
  const initializing = hasInit && observed.sandbox?.alive === true && !isInitialized(observed);
  return {
    reason: initializing && !init ? 'PodInitializing' : hasInit && init ? 'PodInitializing' : 'ContainerCreating',
  };
}

/** What keeps the container from its next start, worst first. */
function blockedReason(container: Container, observed: ObservedPod): { reason: string; message: string } | undefined {
  const { activity, sources } = observed;
  const image = activity.images.get(container.name);
  if (image?.message !== undefined && image.reference === container.image && image.state !== 'present') {
    return { reason: imageReason(image.reason, image.failures), message: image.message };
  }
  if (sources.missingVolumes.length > 0 && activity.volumesVersion === undefined) {
    return { reason: 'CreateContainerConfigError', message: sources.missingVolumes[0]! };
  }
  const missing = sources.missingEnv[container.name];
  if (missing !== undefined) return { reason: 'CreateContainerConfigError', message: missing };
  const creating = activity.failures.get(`createContainer ${container.name}`);
  if (creating) {
    return {
      reason: creating.configuration ? 'CreateContainerConfigError' : 'CreateContainerError',
      message: creating.message,
    };
  }
  const current = newestAttempt(observed, container.name);
  const starting = current?.state === 'created' ? activity.failures.get(`startContainer ${current.id}`) : undefined;
  return starting && { reason: 'RunContainerError', message: starting.message };
}

function imageReason(reason: string | undefined, failures: number): string {
  if (reason === 'InvalidImageName' || reason === 'ErrImageNeverPull') return reason;
  return failures <= 1 ? 'ErrImagePull' : 'ImagePullBackOff';
}

function terminated(status: RuntimeStatus, observed: ObservedPod): ContainerStateTerminated {
  const exitCode = exitCodeOf(status);
  const neverStarted = status.startedAtMs === undefined;
  const reason = status.oomKilled
    ? 'OOMKilled'
    : neverStarted && exitCode !== 0
      ? 'StartError'
      : exitCode === 0
        ? 'Completed'
        : 'Error';
  const message = observed.activity.terminationMessages.get(status.id) || status.message;
  return {
    exitCode,
    ...(exitCode > 128 && exitCode < 160 && { signal: exitCode - 128 }),
    reason,
    ...(message && { message }),
    startedAt: timestamp(status.startedAtMs ?? status.createdAtMs),
    finishedAt: timestamp(status.finishedAtMs ?? status.createdAtMs),
    containerID: `runc://${status.id}`,
  };
}
