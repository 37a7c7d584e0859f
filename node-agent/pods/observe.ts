/** What is true of a pod on this node, in one value: the input of nextAction and of status. Pure. */
import type { Container, Pod } from '../../proto/gen/types.ts';
import type { Permission } from '../fencing/fencing.ts';
import type { ContainerStatus, SandboxStatus } from '../runtime/runtime.ts';
import type { PodActivity } from './activity.ts';
import { isReady, isStarted } from './probes.ts';
import type { ContainerRecord, PodRecord } from './record.ts';
import { quickRestartsAfter, restartDelayMs } from './restart-backoff.ts';
import type { PodSources } from './sources.ts';

export interface ObservedPod {
  readonly sandbox: SandboxStatus | undefined;
  /** All attempts of all containers that the runtime still holds. */
  readonly containers: readonly ContainerStatus[];
  readonly record: PodRecord;
  readonly activity: PodActivity;
  readonly sources: PodSources;
  /** Why the node takes no new pods now, in a sentence. */
  readonly nodePressure?: string | undefined;
  /** Whether the pod may run here, if it must not run twice; absent: it may. */
  readonly permission?: Permission;
}

export function containerId(podUid: string, name: string, attempt: number): string {
  return `${podUid}-${name}-${attempt}`;
}

/** Where a container stands, in the terms that decisions are made in. */
export type ContainerPhase =
  | { readonly type: 'absent'; readonly attempt: number; readonly dueAtMs: number; readonly quickRestarts: number }
  | { readonly type: 'created'; readonly current: ContainerStatus }
  | { readonly type: 'running'; readonly current: ContainerStatus }
  /** Over, and not to be restarted. */
  | { readonly type: 'finished'; readonly current: ContainerStatus; readonly exitCode: number }
  /** Over, and due again at `dueAtMs`. */
  | {
      readonly type: 'restarting';
      readonly current: ContainerStatus;
      readonly attempt: number;
      readonly dueAtMs: number;
      readonly quickRestarts: number;
    };

export function newestAttempt(observed: ObservedPod, name: string): ContainerStatus | undefined {
  const attempt = observed.record.containers[name]?.attempt;
  return observed.containers.find((status) => status.name === name && status.attempt === attempt);
}

export function containerPhase(spec: Container, observed: ObservedPod, init: boolean): ContainerPhase {
  const entry = observed.record.containers[spec.name];
  if (!entry) return { type: 'absent', attempt: 0, dueAtMs: 0, quickRestarts: 0 };
  if (entry.attempt < entry.firstAttempt) {
    return { type: 'absent', attempt: entry.firstAttempt, dueAtMs: 0, quickRestarts: entry.quickRestarts };
  }
  const current = newestAttempt(observed, spec.name);
  if (!current) return { type: 'absent', attempt: entry.attempt, dueAtMs: 0, quickRestarts: entry.quickRestarts };
  if (current.state === 'created') return { type: 'created', current };
  if (current.state === 'running') return { type: 'running', current };
  const exitCode = exitCodeOf(current);
  if (!isRestarted(observed.record.pod, exitCode, init)) return { type: 'finished', current, exitCode };
  return { type: 'restarting', current, ...nextRestart(spec, current, entry, observed.activity) };
}

function nextRestart(
  spec: Container,
  current: ContainerStatus,
  entry: ContainerRecord,
  activity: PodActivity,
): { attempt: number; dueAtMs: number; quickRestarts: number } {
  const ranForMs = Math.max(0, (current.finishedAtMs ?? 0) - (current.startedAtMs ?? current.finishedAtMs ?? 0));
  const quickRestarts = quickRestartsAfter(entry.quickRestarts, ranForMs);
  // A new image is a new program: it does not wait for its predecessor's crimes.
  const delayMs = entry.image === spec.image ? restartDelayMs(quickRestarts) : 0;
  const exitedAtMs = activity.exits.get(current.id) ?? 0;
  return { attempt: entry.attempt + 1, dueAtMs: exitedAtMs + delayMs, quickRestarts: quickRestarts + 1 };
}

export function exitCodeOf(status: ContainerStatus): number {
  return status.exitCode ?? 255;
}

function isRestarted(pod: Pod, exitCode: number, init: boolean): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always';
  if (init) return exitCode !== 0 && policy !== 'Never';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** All init containers have done their work for the present sandbox. */
export function isInitialized(observed: ObservedPod): boolean {
  const { spec } = observed.record.pod;
  const begun = spec.containers.some((container) => {
    const entry = observed.record.containers[container.name];
    return entry !== undefined && entry.attempt >= entry.firstAttempt;
  });
  if (begun) return true;
  return (spec.initContainers ?? []).every((container) => {
    const phase = containerPhase(container, observed, true);
    return phase.type === 'finished' && phase.exitCode === 0;
  });
}

/** Nothing of the pod will ever run again, by itself. */
export function isFinished(observed: ObservedPod): boolean {
  const { spec } = observed.record.pod;
  if (!isInitialized(observed)) {
    return (spec.initContainers ?? []).some((container) => {
      const phase = containerPhase(container, observed, true);
      return phase.type === 'finished' && phase.exitCode !== 0;
    });
  }
  return spec.containers.every((container) => containerPhase(container, observed, false).type === 'finished');
}

/** Runs, has been started up (startup probe, postStart) and is not on its way out. */
export function hasStarted(observed: ObservedPod, spec: Container): boolean {
  const current = newestAttempt(observed, spec.name);
  if (current?.state !== 'running') return false;
  if (spec.lifecycle?.postStart && !observed.record.containers[spec.name]?.postStarted) return false;
  return isStarted(observed.activity.probes.get(current.id)) && observed.activity.probes.has(current.id);
}

export function isContainerReady(observed: ObservedPod, spec: Container): boolean {
  const current = newestAttempt(observed, spec.name);
  return current !== undefined && hasStarted(observed, spec) && isReady(observed.activity.probes.get(current.id));
}
