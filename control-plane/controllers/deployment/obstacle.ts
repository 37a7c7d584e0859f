/**
 * What keeps a rollout from its end, in the words of the pods themselves: which pod, and why. Pure; for the condition and
 * the event that report a missed deadline.
 */
import { findCondition } from '../../../lib/model/conditions.ts';
import { isDeleting } from '../../../lib/model/object.ts';
import { isPodActive, isPodFinished, isPodReady } from '../../../lib/model/pods.ts';
import type { ContainerStatus, Pod } from '../../../proto/gen/types.ts';
import type { Snapshot } from '../../state/snapshot.ts';
import type { Family } from './sizes.ts';

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
}

/** `pods`: of the newest template. Undefined when nothing gives a reason. */
export function obstacleOf(pods: readonly Pod[], surroundings: Surroundings = {}): string | undefined {
  const stuck = pods.filter((pod) => isPodActive(pod) && !isPodReady(pod));
  let worst: (Reason & { readonly pod: Pod }) | undefined;
  for (const pod of stuck) {
    const reason = reasonOf(pod, surroundings);
    if (reason.weight > (worst?.weight ?? 0)) worst = { ...reason, pod };
  }
  if (worst) return `${stuck.length} of ${pods.length} pods are not ready; ${worst.pod.metadata.name}: ${worst.text}`;
  const { replicaFailure, oldPods = [] } = surroundings;
  if (replicaFailure !== undefined) return replicaFailure;
  const leaving = oldPods.find((pod) => isDeleting(pod) && !isPodFinished(pod));
  if (!leaving) return undefined;
  const { metadata, spec } = leaving;
  return `waits for the former pod ${metadata.name} to stop${spec.nodeName ? ` on node ${spec.nodeName}` : ''}`;
}

function reasonOf(pod: Pod, { complaintAbout }: Surroundings): Reason {
  const { conditions, initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const scheduled = findCondition(conditions, 'PodScheduled');
  if (scheduled?.status === 'False') return reason(9, scheduled.reason, scheduled.message);
  const containers = [...initContainerStatuses, ...containerStatuses];
  const found = containers.map(containerReason).filter((one) => one !== undefined);
  const [worst] = found.sort((a, b) => b.weight - a.weight);
  if (worst && worst.weight > 2) return worst;
  const complaint = complaintAbout?.(pod);
  if (complaint !== undefined) return { text: complaint, weight: 6 };
  if (worst) return worst;
  const where = pod.spec.nodeName ? `on node ${pod.spec.nodeName}` : 'and not yet on a node';
  return reason(1, undefined, findCondition(conditions, 'Ready')?.message ?? `not ready ${where}`);
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
  return { text: [word, message].filter(Boolean).join(': '), weight };
}

export function obstacleTo(snapshot: Snapshot, { newest, old }: Family): string | undefined {
  const failure = findCondition(newest?.replicaSet.status?.conditions, 'ReplicaFailure');
  const message = failure?.status === 'True' ? failure.message : undefined;
  return obstacleOf(newest?.pods ?? [], {
    ...(message !== undefined && { replicaFailure: message }),
    oldPods: old.flatMap(({ pods }) => pods),
    complaintAbout: (pod) => lastComplaint(snapshot, pod),
  });
}

/** What probes said stands in Events only. */
function lastComplaint(snapshot: Snapshot, { metadata }: Pod): string | undefined {
  const about = snapshot
    .list('Event', metadata.namespace)
    .filter(({ involvedObject, reason }) => involvedObject?.uid === metadata.uid && reason === 'Unhealthy');
  return about.sort((a, b) => ((a.lastTimestamp ?? '') < (b.lastTimestamp ?? '') ? -1 : 1)).at(-1)?.message;
}
