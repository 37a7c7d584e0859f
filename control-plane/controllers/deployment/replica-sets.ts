/** The ReplicaSets a Deployment makes and changes. */
import { controllerReference, isSame } from '../../../lib/model/object.ts';
import { copiesAnnotationOf } from '../../../lib/model/rollouts.ts';
import type { Deployment, ReplicaSet } from '../../../proto/gen/types.ts';
import type { ConfiguredTemplate } from '../configuration/copies.ts';
import { changeCause, revisionAnnotation, sizeAnnotations } from './revisions.ts';
import type { Bounds } from './rolling-update.ts';
import { templateHashLabel, withHash } from './template.ts';

interface Sizing {
  readonly size: number;
  readonly bounds: Bounds;
  /** For the newest. */
  readonly revision?: number;
  /** Of the newest: made from the Deployment's present template. */
  readonly isOwn?: boolean;
  /** Of the newest, when it is begun in this turn: notes why. */
  readonly withCause?: (annotations: Readonly<Record<string, string>>) => Record<string, string>;
}

export function newReplicaSet(
  deployment: Deployment,
  { template, names }: ConfiguredTemplate,
  hash: string,
  sizing: Required<Omit<Sizing, 'isOwn'>>,
): ReplicaSet {
  const { selector, minReadySeconds } = deployment.spec;
  const { name, namespace = 'default' } = deployment.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels: { ...template.metadata?.labels, [templateHashLabel]: hash },
      annotations: sizing.withCause({
        ...changeCause(deployment),
        ...sizeAnnotations(sizing.bounds),
        ...copiesAnnotationOf(names),
        [revisionAnnotation]: `${sizing.revision}`,
      }),
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: sizing.size,
      ...(minReadySeconds !== undefined && { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [templateHashLabel]: hash } },
      template: withHash(template, hash),
    },
  };
}

/** Undefined when nothing would change. `generation` grows with the spec, as on any change of it. */
export function changedReplicaSet(
  replicaSet: ReplicaSet,
  deployment: Deployment,
  { size, bounds, revision, isOwn = true, withCause = (same) => ({ ...same }) }: Sizing,
): ReplicaSet | undefined {
  const minReadySeconds = revision === undefined ? replicaSet.spec.minReadySeconds : deployment.spec.minReadySeconds;
  if (revision === undefined && size === 0 && replicaSet.spec.replicas === 0) return undefined; // history, not a size
  const { minReadySeconds: _before, ...rest } = replicaSet.spec;
  const spec = { ...rest, replicas: size, ...(minReadySeconds !== undefined && { minReadySeconds }) };
  const annotations = withCause({
    ...replicaSet.metadata.annotations,
    ...sizeAnnotations(bounds),
    ...(revision !== undefined && { ...(isOwn && changeCause(deployment)), [revisionAnnotation]: `${revision}` }),
  });
  const specChanged = !isSame(spec, replicaSet.spec);
  if (!specChanged && isSame(annotations, replicaSet.metadata.annotations)) return undefined;
  const generation = (replicaSet.metadata.generation ?? 1) + (specChanged ? 1 : 0);
  return { ...replicaSet, metadata: { ...replicaSet.metadata, annotations, generation }, spec };
}
