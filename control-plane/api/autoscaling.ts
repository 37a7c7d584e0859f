/** What whoever applies a HorizontalPodAutoscaler should know at once, and would else find in its conditions. */
import { isScalableKind, requestWarning, type Scalable, targetName } from '../../lib/model/autoscaling.ts';
import type { HorizontalPodAutoscaler, KubeObject, LimitRange } from '../../proto/gen/types.ts';
import type { ApiDependencies } from './dependencies.ts';
import { readObject, targetOf } from './objects.ts';
import { listed } from './policy.ts';

export async function autoscalingWarnings(dependencies: ApiDependencies, object: KubeObject): Promise<string[]> {
  if (object.kind !== 'HorizontalPodAutoscaler') return [];
  const { kind, name } = object.spec.scaleTargetRef;
  if (!isScalableKind(kind)) return [];
  const { namespace = 'default' } = object.metadata;
  const [target, ranges] = await Promise.all([
    readObject(dependencies, targetOf({ kind, namespace, name })),
    listed(dependencies, 'LimitRange', namespace),
  ]);
  return warningsFor(object, target as Scalable | undefined, ranges);
}

function warningsFor(
  autoscaler: HorizontalPodAutoscaler,
  target: Scalable | undefined,
  ranges: readonly LimitRange[],
): string[] {
  if (!target)
    return [`${targetName(autoscaler.spec.scaleTargetRef)} does not exist yet; nothing is scaled until it does`];
  const warning = requestWarning(autoscaler, target, ranges);
  return warning === undefined ? [] : [warning];
}
