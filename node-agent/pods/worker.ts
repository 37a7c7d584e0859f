/**
 * One pod's worker: looks, says what it sees, takes the next step, and looks again; waits when there is no next step.
 *
 * Invariants: one step at a time per pod; what takes long (pulls, hooks, probes) runs beside the steps and wakes the
 * worker; no error ends the loop, each only delays its own step. Stopping the worker stops nothing of the pod.
 */
import { isDeepStrictEqual } from 'node:util';
import { type CodeName, isGantryError, messageOf } from '../../lib/errors.ts';
import type { Pod, PodStatus } from '../../proto/gen/types.ts';
import type { SandboxStatus } from '../runtime/runtime.ts';
import { type Action, actionKey } from './actions.ts';
import { newActivity } from './activity.ts';
import { execute, reportFailure } from './execute.ts';
import { nextAction } from './next-action.ts';
import { noteExits, reportWaiting } from './notice.ts';
import type { ObservedPod } from './observe.ts';
import {
  findContainer,
  type PodContext,
  type PodDependencies,
  type PodSourcesReader,
  reportEvent,
} from './pod-context.ts';
import { beginProbes } from './probes.ts';
import { type PodRecord, recoverContainers, withAddressesOnly } from './record.ts';
import { stepDelayMs } from './restart-backoff.ts';
import { observePod } from './runtime-view.ts';
import { readSources } from './sources.ts';
import { podStatus } from './status.ts';

export interface PodWorker {
  readonly uid: string;
  readonly record: () => PodRecord;
  wake(): void;
  /** The pod, or what it names, has changed: what failed for that may work now. */
  changed(): void;
  /** Leaves the pod as it is. Resolves when the step under way is over. */
  stop(): Promise<void>;
  /** Resolves when nothing of the pod is left, or the worker was stopped. */
  readonly done: Promise<void>;
}

export interface PodWorkerOptions {
  readonly deps: PodDependencies;
  readonly sources: PodSourcesReader;
  readonly record: PodRecord;
  /** The record was read from disk. */
  readonly recordSaved: boolean;
  /** Undefined: the pod was taken away from this node. */
  readonly desired: () => Pod | undefined;
  /** Bounds how many pods take a step at the same time. */
  readonly bounded: <Result>(work: () => Promise<Result>) => Promise<Result>;
}

/** Step failures that the pod's own words cause. */
const configurationCodes: ReadonlySet<CodeName> = new Set(['invalidArgument']);

export function startPodWorker(options: PodWorkerOptions): PodWorker {
  const { deps, desired } = options;
  const uid = options.record.pod.metadata.uid!;
  const log = deps.log.child({
    pod: `${options.record.pod.metadata.namespace}/${options.record.pod.metadata.name}`,
    uid,
  });
  const activity = newActivity();
  activity.recordSaved = options.recordSaved;
  const abort = new AbortController();
  let followed: Pod | undefined;
  let reported: PodStatus | undefined;
  let woken = true;
  let release: (() => void) | undefined;
  let saving: Promise<void> = Promise.resolve();
  let adopted = false;

  const wake = (): void => {
    woken = true;
    release?.();
  };

  const context: PodContext = {
    deps,
    sources: options.sources,
    activity,
    uid,
    record: options.record,
    pod: () => context.record.pod,
    note(record) {
      context.record = record;
      activity.recordSaved = false;
      // In turn, and each time the newest: two writers would share the temporary file.
      const save = saving.then(async () => {
        const newest = context.record;
        await deps.files.saveRecord(newest);
        activity.recordSaved = context.record === newest;
      });
      saving = save.catch(() => {});
      return save;
    },
    saved: () => saving,
    event(type, reason, message, container) {
      const kind =
        container && context.record.pod.spec.initContainers?.includes(container) ? 'initContainers' : 'containers';
      const fieldPath = container && `spec.${kind}{${container.name}}`;
      reportEvent(deps, context.record.pod, { type, reason, message }, fieldPath);
    },
    background(work) {
      work(abort.signal)
        .catch((error: unknown) => {
          if (!abort.signal.aborted) log.warn({ error: messageOf(error) }, 'work beside the pod failed');
        })
        .finally(wake);
    },
    wake,
  };

  /** Takes over changes of the desired pod; returns it. */
  const follow = (): Pod | undefined => {
    const pod = desired();
    if (!pod || pod === followed) return pod;
    followed = pod;
    const next = withAddressesOnly(pod);
    if (!isDeepStrictEqual(next, context.record.pod)) {
      const specChanged = !isDeepStrictEqual(next.spec, context.record.pod.spec);
      context.record = { ...context.record, pod: next };
      if (specChanged) activity.failures.clear();
      // A record that exists is kept current; a pod that was never begun gets its record with its first step.
      // One that was cleared away must not come back.
      if (activity.recordSaved && activity.files !== 'removed') context.note(context.record).catch(onSaveError);
    }
    return pod;
  };
  const onSaveError = (error: unknown): void => log.warn({ error: messageOf(error) }, 'the record is not on disk');

  const observe = async (): Promise<ObservedPod> => {
    const { sandbox, containers } = await observePod(deps.runtime, uid);
    if (!adopted) adopt(sandbox, containers);
    await noteExits(context, containers);
    const sources = readSources(context.record.pod, options.sources);
    const permission = deps.fencing.permission(context.record.pod);
    const nodePressure = deps.nodePressure();
    return { sandbox, containers, record: context.record, activity, sources, nodePressure, permission };
  };

  /** At first sight: what a former agent left is taken over as it is. */
  const adopt = (sandbox: SandboxStatus | undefined, containers: ObservedPod['containers']): void => {
    adopted = true;
    if (!sandbox) activity.network = 'detached';
    context.record = recoverContainers(context.record, containers);
    const nowMs = deps.clock.monotonicMs();
    for (const status of containers) {
      if (status.state !== 'running') continue;
      const entry = context.record.containers[status.name];
      const container = findContainer(context.record.pod, status.name);
      if (!container || entry?.attempt !== status.attempt) continue;
      // Only a container whose verdicts are known is taken over with them.
      if (entry.started !== undefined || entry.ready !== undefined || !container.readinessProbe) {
        activity.probes.set(status.id, beginProbes(container, nowMs, entry));
      }
    }
    const { activeDeadlineSeconds } = context.record.pod.spec;
    if (activeDeadlineSeconds !== undefined) {
      const passedMs = Math.max(0, deps.clock.nowMs() - context.record.startedAtMs);
      activity.deadlineAtMs = nowMs + activeDeadlineSeconds * 1000 - passedMs;
    }
  };

  const report = (observed: ObservedPod): void => {
    const { clock, sink } = deps;
    const pod = desired() ?? context.record.pod;
    const times = { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
    const status = podStatus({ pod, observed, previous: reported, ...times });
    if (isDeepStrictEqual(status, reported)) return;
    reported = status;
    const { namespace = 'default', name } = pod.metadata;
    sink.pod({ namespace, name, uid }, status);
  };

  const attempt = async (action: Action, observed: ObservedPod): Promise<void> => {
    const key = actionKey(action);
    try {
      await options.bounded(() => execute(context, action, observed));
      activity.failures.delete(key);
    } catch (error) {
      const count = (activity.failures.get(key)?.count ?? 0) + 1;
      const message = messageOf(error);
      const configuration = isGantryError(error) && configurationCodes.has(error.code);
      const retryAtMs = deps.clock.monotonicMs() + stepDelayMs(count);
      activity.failures.set(key, { count, retryAtMs, message, configuration });
      log.warn({ step: key, error: message, count }, 'a step failed and will be tried again');
      reportFailure(context, action, message);
    }
  };

  /** One look and one step. Returns when to look again at the latest; undefined: at once. */
  const turn = async (): Promise<{ readonly untilMs?: number } | 'removed' | undefined> => {
    const pod = follow();
    const observed = await observe();
    reportWaiting(context, observed);
    if (activity.files !== 'removed') report(observed);
    const action = nextAction(pod, observed, deps.clock.monotonicMs());
    if (action.type === 'wait') return action;
    log.debug({ step: actionKey(action) }, 'next step');
    await attempt(action, observed);
    return action.type === 'reportRemoved' ? 'removed' : undefined;
  };

  const sleep = async (untilMs: number | undefined): Promise<void> => {
    if (woken || abort.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const delayMs = untilMs === undefined ? undefined : Math.max(0, untilMs - deps.clock.monotonicMs());
      const timer = delayMs === undefined ? undefined : deps.clock.schedule(delayMs, resolve);
      release = () => {
        timer?.cancel();
        resolve();
      };
    });
    release = undefined;
  };

  const run = async (): Promise<void> => {
    while (!abort.signal.aborted) {
      woken = false;
      try {
        const result = await turn();
        if (result === 'removed') break;
        if (result) await sleep(result.untilMs);
      } catch (error) {
        log.error({ error: messageOf(error) }, 'cannot look at the pod; trying again');
        woken = false;
        await sleep(deps.clock.monotonicMs() + lookAgainMs);
      }
    }
    abort.abort();
    await saving;
  };

  const done = run();
  return {
    uid,
    record: () => context.record,
    wake,
    changed() {
      activity.failures.clear();
      wake();
    },
    async stop() {
      abort.abort();
      wake();
      await done;
    },
    done,
  };
}

const lookAgainMs = 1_000;
