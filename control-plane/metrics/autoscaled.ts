/** Which pods are behind an autoscaler. Pure. */
import { isScalableKind, type Scalable } from '../../lib/model/autoscaling.ts';
import { isPodActive, isPodBound } from '../../lib/model/pods.ts';
import type { HorizontalPodAutoscaler, Pod } from '../../proto/gen/types.ts';
import { controlledBy } from '../controllers/owned.ts';
import type { Snapshot } from '../state/snapshot.ts';

export function targetOf(snapshot: Snapshot, { metadata, spec }: HorizontalPodAutoscaler): Scalable | undefined {
  const { kind, name } = spec.scaleTargetRef;
  return isScalableKind(kind) ? snapshot.get(kind, metadata.namespace, name) : undefined;
}

/** In any state. */
export function podsOfTarget(snapshot: Snapshot, target: Scalable): readonly Pod[] {
  const owners = target.kind === 'Deployment' ? controlledBy(snapshot, target, 'ReplicaSet') : [target];
  return owners.flatMap((owner) => controlledBy(snapshot, owner, 'Pod'));
}

/** Uids of the pods whose use must be known, by node. */
export function autoscaledPods(snapshot: Snapshot): Map<string, Set<string>> {
  const byNode = new Map<string, Set<string>>();
  for (const autoscaler of snapshot.list('HorizontalPodAutoscaler')) {
    const target = targetOf(snapshot, autoscaler);
    for (const pod of target ? podsOfTarget(snapshot, target) : []) {
      const { nodeName } = pod.spec;
      if (!isPodBound(pod) || !isPodActive(pod) || nodeName === undefined) continue;
      const uids = byNode.get(nodeName) ?? new Set();
      byNode.set(nodeName, uids.add(pod.metadata.uid ?? ''));
    }
  }
  return byNode;
}
