/**
 * Pods that must not run twice: those of StatefulSets. Their names are identities, so the next pod of a name is made only
 * when it is certain that the last one has stopped: its agent said so, or a person declared its node out of service.
 */
import type { KubeObject, Node, Pod } from '../../proto/gen/types.ts';
import { controllerOf } from './object.ts';
import { isPodBound, isPodFinished } from './pods.ts';

/** On a StatefulSet: how its pods are fenced. The only value, and the default, is strict. */
export const fencingAnnotation = 'gantry.dev/fencing';

/** A person's word that a lost node is really down (`ctl node out-of-service`); Kubernetes' own taint. */
export const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

export function isFenced(object: KubeObject): boolean {
  return object.kind === 'Pod' && controllerOf(object)?.kind === 'StatefulSet';
}

/** It may be running there at this moment. */
export function mayRun(pod: Pod): boolean {
  return isPodBound(pod) && !isPodFinished(pod);
}

export function isOutOfService({ spec }: Node): boolean {
  return (spec.taints ?? []).some(({ key }) => key === outOfServiceTaint);
}
