/**
 * Pods that must not run twice: those of StatefulSets. Their names are identities, so the next pod of a name is made only
 * when it is certain that the last one has stopped.
 *
 * - `strict`, the default: its agent said so, or a person declared its node out of service.
 * - `stop-after`: also when its node has been lost for long enough. The node's watchdog kills the pod `stopAfterMs` after the
 *   agent sent the last heartbeat that was acknowledged, and the control plane waits `replacementDelayMs` from the end of the
 *   node's lease, which is more, whichever of the two clocks runs fast.
 */
import type { KubeObject, Node, Pod } from '../../proto/gen/types.ts';
import { controllerOf } from './object.ts';
import { isPodBound, isPodFinished } from './pods.ts';

/** On a StatefulSet or its pods' template: how its pods are fenced, strict or stop-after. */
export const fencingAnnotation = 'gantry.dev/fencing';
/** There, too: with stop-after, how long a pod outlives the last contact of its node with the control plane. */
export const stopAfterAnnotation = 'gantry.dev/stop-after-seconds';
export const fencingAnnotations = [fencingAnnotation, stopAfterAnnotation] as const;

export type Fencing = 'strict' | 'stop-after';

/** Longer than a lease, and than it takes to find a new leader: a control plane that restarts stops nobody. */
export const defaultStopAfterSeconds = 10;
export const leastStopAfterSeconds = 5;
export const mostStopAfterSeconds = 3600;

/** Two clocks that are each up to 2 % wrong: (1 + 0.02) / (1 - 0.02) is 1.041. */
const clockSkewFactor = 1.05;
/** From the deadline to the last process gone: the watchdog looks ten times a second, on a node that may be overloaded. */
const killMarginMs = 2_000;

/** A person's word that a lost node is really down (`ctl node out-of-service`); Kubernetes' own taint. */
export const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

export function isFenced(object: KubeObject): boolean {
  return object.kind === 'Pod' && controllerOf(object)?.kind === 'StatefulSet';
}

/** Undefined: it may be replaced at once. A pod's own annotation counts; its StatefulSet gave it that. */
export function fencingOf(pod: Pod): Fencing | undefined {
  if (!isFenced(pod)) return undefined;
  return pod.metadata.annotations?.[fencingAnnotation] === 'stop-after' ? 'stop-after' : 'strict';
}

/** Since the last acknowledged heartbeat was sent. The same for the node and for the control plane: it never changes. */
export function stopAfterMs({ metadata }: Pod): number {
  const seconds = Number(metadata.annotations?.[stopAfterAnnotation] ?? defaultStopAfterSeconds);
  return (Number.isFinite(seconds) ? seconds : defaultStopAfterSeconds) * 1000;
}

/** Since the end of the node's lease, which is later than that heartbeat. */
export function replacementDelayMs(pod: Pod): number {
  return stopAfterMs(pod) * clockSkewFactor + killMarginMs;
}

/** It may be running there at this moment. */
export function mayRun(pod: Pod): boolean {
  return isPodBound(pod) && !isPodFinished(pod);
}

/** Its node must not be deleted: nobody could say any more that it has stopped. */
export function needsNode(pod: Pod): boolean {
  return isFenced(pod) && mayRun(pod);
}

/** Why the node stays, and what to do. */
export function nodeIsNeeded(name: string, pods: readonly Pod[]): string {
  const names = pods.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(', ');
  const cure = `drain it first: ctl drain ${name}; if the machine is down, say so: ctl node out-of-service ${name}`;
  return `node ${name} has pods that must not run twice (${names}); ${cure}`;
}

/** Of a pod that needs a node that is not there any more: only a person can end that. */
export function nodeIsGone({ metadata, spec }: Pod): string {
  const { name, namespace = 'default' } = metadata;
  const cure = `when that machine is down for certain: ctl delete pod ${name} -n ${namespace} --force`;
  return `pod ${name} must not run twice, and may still run on the machine that was node ${spec.nodeName}; ${cure}`;
}

export function isOutOfService({ spec }: Node): boolean {
  return (spec.taints ?? []).some(({ key }) => key === outOfServiceTaint);
}

/** What to do about a node that was declared out of service, when it is back. */
export function withdrawalHint(node: Node): string | undefined {
  if (!isOutOfService(node)) return undefined;
  return `it is back, and was declared out of service; withdraw that with: ctl node in-service ${node.metadata.name}`;
}
