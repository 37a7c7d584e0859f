/** What failed pods mean for their Job: when it has failed, and how long to wait before the next try. Pure. */
import type { ContainerStatus, Job, Pod, PodFailurePolicyRule } from '../../../proto/gen/types.ts';
import { madeMs } from '../made.ts';

const defaultBackoffLimit = 6;
const firstRetryDelayMs = 10_000;
const longestRetryDelayMs = 360_000;

export type FailureAction = 'FailJob' | 'Ignore' | 'Count';

export interface FailureVerdict {
  readonly action: FailureAction;
  /** Which rule, for people. */
  readonly message?: string;
}

export function verdictOn(job: Job, pod: Pod): FailureVerdict {
  for (const [index, rule] of (job.spec.podFailurePolicy?.rules ?? []).entries()) {
    const container = failedContainers(pod).find((status) => matches(rule, status));
    if (!container) continue;
    const { exitCode } = container.state!.terminated!;
    const message = `Container ${container.name} of pod ${pod.metadata.name} ended with exit code ${exitCode}, which rule ${index} of podFailurePolicy matches (${rule.action})`;
    return { action: rule.action, message };
  }
  return { action: 'Count' };
}

function failedContainers({ status }: Pod): ContainerStatus[] {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.filter(({ state }) => (state?.terminated?.exitCode ?? 0) !== 0);
}

function matches({ onExitCodes }: PodFailurePolicyRule, { name, state }: ContainerStatus): boolean {
  if (onExitCodes.containerName !== undefined && onExitCodes.containerName !== name) return false;
  const listed = onExitCodes.values.includes(state?.terminated?.exitCode ?? 0);
  return onExitCodes.operator === 'In' ? listed : !listed;
}

/** A sentence when more has failed than may. `failed` counts pods; with OnFailure restarts of living pods count too. */
export function whyGivenUp(job: Job, failed: number, active: readonly Pod[]): string | undefined {
  const limit = job.spec.backoffLimit ?? defaultBackoffLimit;
  const sentence = 'Job has reached the specified backoff limit';
  if (failed > limit) return sentence;
  if (job.spec.template.spec.restartPolicy !== 'OnFailure') return undefined;
  const restarts = active.reduce((sum, pod) => sum + restartsOf(pod), 0);
  return restarts > 0 && failed + restarts > limit ? sentence : undefined;
}

function restartsOf({ status }: Pod): number {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0);
}

/** Doubles with each pod that has failed since the last success. Measured by our own clock: from when it was made. */
export function retryDelayMs(failed: readonly Pod[], succeeded: readonly Pod[], nowMs: number): number {
  const made = (pod: Pod): number => madeMs(pod, nowMs);
  const lastSuccessMs = Math.max(0, ...succeeded.map(made));
  const series = failed.map(made).filter((ms) => ms > lastSuccessMs);
  if (series.length === 0) return 0;
  const delayMs = Math.min(longestRetryDelayMs, firstRetryDelayMs * 2 ** Math.min(series.length - 1, 20));
  return Math.max(0, Math.max(...series) + delayMs - nowMs);
}
