/**
 * The pod's life as one question, asked again after every change: given what should be and what is, what is the next
 * step? Pure. Each action is idempotent, so a crash at any point only means that the question is asked anew.
 *
 * `steps` lists, most urgent first, what could be done now; the first that is not waiting out a failure is taken. A
 * step that everything after it depends on ends the list.
 */
import { stopAfterMs } from '../../lib/model/fencing.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { type Action, actionKey, type Steps, type Wait } from './actions.ts';
import { pullAhead, runContainers, runInit } from './container-steps.ts';
import { isFinished, type ObservedPod } from './observe.ts';
import { graceMs, stop } from './stop-steps.ts';

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
