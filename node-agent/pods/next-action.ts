/**
 * The pod's life as one question, asked again after every change: given what should be and what is, what is the next
 * step? Pure. Each action is idempotent, so a crash at any point only means that the question is asked anew.
 *
 * `steps` lists, most urgent first, what could be done now; the first that is not waiting out a failure is taken. A
 * step that everything after it depends on ends the list.
 */
import { stopAfterMs } from '../../lib/model/fencing.ts';
import type { Container, Pod } from '../../proto/gen/types.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import type { StopReason } from './activity.ts';
import { containerPhase, isFinished, isInitialized, newestAttempt, type ObservedPod } from './observe.ts';
import { activeKinds, deathSentence, type ProbeKind, probeOf } from './probes.ts';

export type Action =
  /** And before it, as before anything else that is done for the pod, its record goes to disk. */
  | { readonly type: 'prepareVolumes' }
  /** In the background. */
  | { readonly type: 'pullImage'; readonly container: Container; readonly attempt: number }
  | { readonly type: 'createSandbox' }
  | { readonly type: 'attachNetwork' }
  | {
      readonly type: 'createContainer';
      readonly container: Container;
      readonly attempt: number;
      readonly quickRestarts: number;
      readonly init: boolean;
    }
  | {
      readonly type: 'startContainer';
      readonly id: string;
      readonly container: Container;
      readonly init: boolean;
    }
  /** In the background. */
  | { readonly type: 'postStart'; readonly id: string; readonly container: Container }
  | { readonly type: 'beginProbes'; readonly id: string; readonly container: Container }
  /** In the background. */
  | { readonly type: 'probe'; readonly id: string; readonly container: Container; readonly kind: ProbeKind }
  /** Notes the time, and begins preStop in the background when there is one and `graceMs` allows it. */
  | {
      readonly type: 'beginStop';
      readonly id: string;
      readonly name: string;
      readonly reason: StopReason;
      readonly graceMs: number;
    }
  | { readonly type: 'signalContainer'; readonly id: string; readonly signal: string }
  | { readonly type: 'removeContainer'; readonly id: string }
  /** Keeps the final status for good. */
  | { readonly type: 'finish'; readonly reason?: string; readonly message?: string }
  | { readonly type: 'detachNetwork' }
  | { readonly type: 'removeSandbox' }
  /** `everything` also takes the logs and the record. */
  | { readonly type: 'removeFiles'; readonly everything: boolean }
  | { readonly type: 'reportRemoved' };

export interface Wait {
  readonly type: 'wait';
  /** Absent: until something changes. */
  readonly untilMs?: number;
}

/** Under which name an action's failures are counted. */
export function actionKey(action: Action): string {
  if (action.type === 'createContainer') return `createContainer ${action.container.name}`;
  return 'id' in action ? `${action.type} ${action.id}` : action.type;
}

/** `desired` undefined: the pod was taken away from this node. `nowMs` is monotonic. */
export function nextAction(desired: Pod | undefined, observed: ObservedPod, nowMs: number): Action | Wait {
  let untilMs = Number.POSITIVE_INFINITY;
  for (const step of steps(desired, observed, nowMs)) {
    if (step.type === 'wait') {
      untilMs = Math.min(untilMs, step.untilMs ?? Number.POSITIVE_INFINITY);
      continue;
    }
    const failure = observed.activity.failures.get(actionKey(step));
    if (!failure || failure.retryAtMs <= nowMs) return step;
    untilMs = Math.min(untilMs, failure.retryAtMs);
  }
  return untilMs === Number.POSITIVE_INFINITY ? { type: 'wait' } : { type: 'wait', untilMs };
}

type Steps = Generator<Action | Wait, void, void>;

function* steps(desired: Pod | undefined, observed: ObservedPod, nowMs: number): Steps {
  if (!desired || desired.metadata.deletionTimestamp !== undefined) {
    yield* takeDown(observed, nowMs);
    if (!isEmpty(observed)) return;
    if (observed.activity.files !== 'removed') yield { type: 'removeFiles', everything: true };
    else yield { type: 'reportRemoved' };
  } else if (observed.record.finalStatus) {
    yield* takeDown(observed, nowMs);
    if (isEmpty(observed) && observed.activity.files === 'present') yield { type: 'removeFiles', everything: false };
  } else {
    yield* run(desired, observed, nowMs);
  }
}

const defaultGraceSeconds = 30;

/** How long the pod's containers may take to end by themselves. */
export function graceMs(pod: Pod): number {
  const { deletionGracePeriodSeconds } = pod.metadata;
  return (deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1000;
}

function isEmpty({ sandbox, containers }: ObservedPod): boolean {
  return !sandbox && containers.length === 0;
}

function* takeDown(observed: ObservedPod, nowMs: number): Steps {
  const running = observed.containers.filter((status) => status.state === 'running');
  for (const status of running) yield* stop(status, 'deleted', graceMs(observed.record.pod), observed, nowMs);
  if (running.length > 0) return;
  for (const status of observed.containers) yield { type: 'removeContainer', id: status.id };
  if (observed.containers.length > 0 || !observed.sandbox) return;
  // The veth goes first: it would vanish with the namespace anyway, but its routes and host ports would not.
  if (observed.activity.network !== 'detached') yield { type: 'detachNetwork' };
  else yield { type: 'removeSandbox' };
}

/** A container that ignored even SIGKILL (stuck in the kernel) is told again now and then. */
const killAgainMs = 5_000;
/** What is left after a preStop hook that used up all the grace, as in Kubernetes. */
const graceAfterHookMs = 2_000;

function* stop(
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

/** Nobody calls when the pressure is over: we look. */
const pressureLookMs = 2_000;

/** The same, of the control plane's word. */
const permissionLookMs = 500;

function* run(pod: Pod, observed: ObservedPod, nowMs: number): Steps {
  const { sandbox, activity, sources } = observed;
  if (observed.permission === 'stopped') return yield* fenceOff(pod, observed, nowMs);
  if (sandbox && !sandbox.alive) {
    const left = observed.containers.filter((status) => status.state !== 'exited');
    for (const status of left) {
      if (status.state === 'created') yield { type: 'removeContainer', id: status.id };
      else yield* stop(status, 'sandboxLost', 0, observed, nowMs);
    }
    if (left.length > 0) return;
  }
  if (isFinished(observed)) return yield { type: 'finish' };
  const expired = yield* deadline(pod, observed, nowMs);
  if (expired) return;
  if (!sandbox?.alive && observed.permission === 'wait') {
    return yield { type: 'wait', untilMs: nowMs + permissionLookMs };
  }
  if (!sandbox && observed.nodePressure !== undefined) return yield { type: 'wait', untilMs: nowMs + pressureLookMs };

  yield* pullAhead(pod, observed, nowMs);
  // What runs (a restarted agent finds it so) is looked after even when its surroundings cannot be renewed now.
  const runs = observed.containers.some((status) => status.state === 'running');
  const prepared = activity.volumesVersion !== undefined || runs;
  if (sources.missingVolumes.length > 0 && !prepared) return yield { type: 'wait' };
  if (sources.missingVolumes.length === 0 && activity.volumesVersion !== sources.version) {
    yield { type: 'prepareVolumes' };
    if (!prepared) return;
  }
  if (!sandbox?.alive) {
    if (activity.network !== 'detached') return yield { type: 'detachNetwork' };
    return yield { type: 'createSandbox' };
  }
  if (!pod.spec.hostNetwork && activity.network !== sandbox.pid) {
    yield { type: 'attachNetwork' };
    if (!runs) return;
  }
  const initialized = yield* runInit(pod, observed, nowMs);
  if (initialized) yield* runContainers(pod, observed, nowMs);
}

/** The node's watchdog has killed the pod, or is about to: it has failed for good, whatever its restartPolicy. */
function* fenceOff(pod: Pod, observed: ObservedPod, nowMs: number): Steps {
  const left = observed.containers.filter((status) => status.state !== 'exited');
  for (const status of left) {
    if (status.state === 'created') yield { type: 'removeContainer', id: status.id };
    else yield* stop(status, 'fenced', 0, observed, nowMs);
  }
  if (left.length > 0) return;
  const seconds = stopAfterMs(pod) / 1000;
  const message = `stopped, because its node had no contact with the control plane for ${seconds} s and the pod must not run twice`;
  yield { type: 'finish', reason: 'Fenced', message };
}

/** True when the pod's time is up. */
function* deadline(pod: Pod, observed: ObservedPod, nowMs: number): Generator<Action | Wait, boolean, void> {
  const seconds = pod.spec.activeDeadlineSeconds;
  const endMs = observed.activity.deadlineAtMs;
  if (seconds === undefined || endMs === undefined) return false;
  if (nowMs < endMs) {
    yield { type: 'wait', untilMs: endMs };
    return false;
  }
  const running = observed.containers.filter((status) => status.state === 'running');
  for (const status of running) yield* stop(status, 'deadline', graceMs(pod), observed, nowMs);
  if (running.length === 0) {
    const message = `the pod ran longer than spec.activeDeadlineSeconds, ${seconds} s`;
    yield { type: 'finish', reason: 'DeadlineExceeded', message };
  }
  return true;
}

/** Images of everything that has never run, all at once and beside the steps that do not need them. */
function* pullAhead(pod: Pod, observed: ObservedPod, nowMs: number): Steps {
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
function* runInit(pod: Pod, observed: ObservedPod, nowMs: number): Generator<Action | Wait, boolean, void> {
  if (isInitialized(observed)) return true;
  for (const container of pod.spec.initContainers ?? []) {
    const phase = containerPhase(container, observed, true);
    if (phase.type === 'finished' && phase.exitCode === 0) continue;
    yield* advance(container, observed, nowMs, true);
    return false;
  }
  return true;
}

function* runContainers(pod: Pod, observed: ObservedPod, nowMs: number): Steps {
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
