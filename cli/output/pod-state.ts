/** The words of `ctl get pods`, derived from status as kubectl derives them. Pure. */
import { isReadyTaken } from '../../lib/model/pods.ts';
import type { ContainerStatus, Pod } from '../../proto/gen/types.ts';
import { age } from './age.ts';

/**
 * READY: ready containers over all. While its node is lost none, whatever its agent said last: the pod has left its services,
 * and replacements are made. (kubectl goes on showing the agent's last word.)
 */
export function readyCount(pod: Pod): string {
  const { status, spec } = pod;
  const ready = isReadyTaken(pod) ? [] : (status?.containerStatuses ?? []).filter((container) => container.ready);
  return `${ready.length}/${spec.containers.length}`;
}

/** STATUS: one word, the most telling. */
export function podState(pod: Pod): string {
  const { metadata, status } = pod;
  if (metadata.deletionTimestamp !== undefined) return status?.reason === 'NodeLost' ? 'Unknown' : 'Terminating';
  const init = initState(pod);
  if (init !== undefined) return init;
  const told = (status?.containerStatuses ?? []).map(containerState).filter((word) => word !== undefined);
  const running = (status?.containerStatuses ?? []).some((container) => container.state?.running && container.ready);
  const word = told[0]; // of several containers, the first to have something to tell
  if (word === 'Completed' && running) return readyCondition(pod) ? 'Running' : 'NotReady';
  return word ?? status?.reason ?? status?.phase ?? 'Pending';
}

function initState({ spec, status }: Pod): string | undefined {
  const statuses = status?.initContainerStatuses ?? [];
  for (const [index, container] of statuses.entries()) {
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (terminated) return `Init:${terminated.reason || `ExitCode:${terminated.exitCode}`}`;
    if (waiting?.reason && waiting.reason !== 'PodInitializing') return `Init:${waiting.reason}`;
    return `Init:${index}/${spec.initContainers?.length ?? statuses.length}`;
  }
  return undefined;
}

function containerState({ state }: ContainerStatus): string | undefined {
  if (state?.waiting?.reason) return state.waiting.reason;
  if (!state?.terminated) return undefined;
  const { reason, signal, exitCode } = state.terminated;
  return reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`);
}

function readyCondition({ status }: Pod): boolean {
  return (status?.conditions ?? []).some(({ type, status: value }) => type === 'Ready' && value === 'True');
}

/** RESTARTS: `3 (2m10s ago)`; of the init containers as long as they run. */
export function restarts(pod: Pod, nowMs: number): string {
  const { status } = pod;
  const initializing = initState(pod) !== undefined;
  const statuses = (initializing ? status?.initContainerStatuses : status?.containerStatuses) ?? [];
  const count = statuses.reduce((sum, container) => sum + (container.restartCount ?? 0), 0);
  const ends = statuses.flatMap((container) => container.lastState?.terminated?.finishedAt ?? []).sort();
  const last = ends.at(-1);
  return count > 0 && last !== undefined ? `${count} (${age(last, nowMs)} ago)` : String(count);
}
