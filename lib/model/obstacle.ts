/**
 * What keeps a rollout from its end, in the words of the pods themselves: which pod, and why. Pure; for the condition and
 * the event that report a missed deadline, and for who waits for the rollout.
 */
import type { ContainerStatus, Pod } from '../../proto/gen/types.ts';
import { findCondition } from './conditions.ts';
import { isDeleting } from './object.ts';
import { isPodActive, isPodFinished, isPodReady, isReadyTaken } from './pods.ts';

/** What the pods' own status does not say. */
export interface Surroundings {
  /** Why no more pods can be made. */
  readonly replicaFailure?: string;
  /** Of older templates. */
  readonly oldPods?: readonly Pod[];
  /** What the pod's agent last complained about. */
  readonly complaintAbout?: (pod: Pod) => string | undefined;
}

interface Reason {
  readonly text: string;
  /** How much it explains. */
  readonly weight: number;
  /** Such as ImagePullBackOff. */
  readonly word?: string | undefined;
}

/** What does not end by waiting a moment, in all likelihood: a container or a pod that says why it waits. */
const tellingWeight = 8;

export interface Obstacle {
  readonly sentence: string;
  /** Stays the same while only numbers in the sentence change. */
  readonly subject: string;
}

/** `pods`: of the newest template. Undefined when nothing gives a reason. */
export function obstacleOf(pods: readonly Pod[], surroundings: Surroundings = {}): string | undefined {
  const stuck = stuckPods(pods);
  const worst = worstOf(stuck, surroundings);
  if (worst) return sentenceOf(worst, stuck, pods);
  const { replicaFailure, oldPods = [] } = surroundings;
  if (replicaFailure !== undefined) return replicaFailure;
  const leaving = oldPods.find((pod) => isDeleting(pod) && !isPodFinished(pod));
  if (!leaving) return undefined;
  const { metadata, spec } = leaving;
  return `waits for the former pod ${metadata.name} to stop${spec.nodeName ? ` on node ${spec.nodeName}` : ''}`;
}

/** Undefined while it may well be that pods are merely on their way. */
export function tellingObstacle(pods: readonly Pod[], { replicaFailure }: Surroundings = {}): Obstacle | undefined {
  const stuck = stuckPods(pods);
  const worst = worstOf(stuck, {});
  if (worst && worst.weight >= tellingWeight) {
    return { sentence: sentenceOf(worst, stuck, pods), subject: `${worst.pod.metadata.name} ${worst.word}` };
  }
  return replicaFailure === undefined ? undefined : { sentence: replicaFailure, subject: replicaFailure };
}

function stuckPods(pods: readonly Pod[]): Pod[] {
  return pods.filter((pod) => isPodActive(pod) && !isPodReady(pod));
}

interface PodReason extends Reason {
  readonly pod: Pod;
}

function worstOf(stuck: readonly Pod[], surroundings: Surroundings): PodReason | undefined {
  let worst: PodReason | undefined;
  for (const pod of stuck) {
    const reason = reasonOf(pod, surroundings);
    if (reason.weight > (worst?.weight ?? 0)) worst = { ...reason, pod };
  }
  return worst;
}

function sentenceOf({ pod, text }: PodReason, stuck: readonly Pod[], pods: readonly Pod[]): string {
  return `${stuck.length} of ${pods.length} pods are not ready; ${pod.metadata.name}: ${text}`;
}

function reasonOf(pod: Pod, { complaintAbout }: Surroundings): Reason {
  const { conditions, initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const scheduled = findCondition(conditions, 'PodScheduled');
  if (scheduled?.status === 'False') return reason(9, scheduled.reason, scheduled.message);
  const ready = findCondition(conditions, 'Ready');
  if (ready && isReadyTaken(pod)) return reason(8, ready.reason, ready.message);
  const containers = [...initContainerStatuses, ...containerStatuses];
  const found = containers.map(containerReason).filter((one) => one !== undefined);
  const [worst] = found.sort((a, b) => b.weight - a.weight);
  if (worst && worst.weight > 2) return worst;
  const complaint = complaintAbout?.(pod);
  if (complaint !== undefined) return { text: complaint, weight: 6 };
  if (worst) return worst;
  const where = pod.spec.nodeName ? `on node ${pod.spec.nodeName}` : 'and not yet on a node';
  return reason(1, undefined, ready?.message ?? `not ready ${where}`);
}

/** Those on their way say little. */
const ordinary: readonly string[] = ['ContainerCreating', 'PodInitializing'];

function containerReason({ name, state, lastState, restartCount = 0 }: ContainerStatus): Reason | undefined {
  const { waiting } = state ?? {};
  const last = state?.terminated ?? lastState?.terminated;
  const isFailure = last !== undefined && last.exitCode !== 0;
  const exit = isFailure ? `last exit code ${last.exitCode}${last.reason ? ` (${last.reason})` : ''}` : undefined;
  if (waiting?.reason !== undefined) {
    const said = reason(ordinary.includes(waiting.reason) ? 2 : 8, waiting.reason, waiting.message);
    return exit === undefined ? said : { ...said, text: `${said.text}; ${exit}` };
  }
  if (exit === undefined || restartCount === 0) return undefined;
  return { text: `container ${name} was restarted ${restartCount} times; ${exit}`, weight: 7 };
}

function reason(weight: number, word: string | undefined, message: string | undefined): Reason {
  return { text: [word, message].filter(Boolean).join(': '), weight, word };
}
