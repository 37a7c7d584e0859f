/** The pods of a StatefulSet: their names, and what they are made of. Pure. */
import { fencingAnnotations } from '../../../lib/model/fencing.ts';
import { controllerReference } from '../../../lib/model/object.ts';
import { podSpecWithClaims } from '../../../lib/model/stateful-claims.ts';
import type { ControllerRevision, Pod, StatefulSet } from '../../../proto/gen/types.ts';
import { hashOf, revisionHashLabel } from '../template-history.ts';

const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

/** `web-3` is pod 3 of web. */
export function ordinalIn(podName: string): { readonly base: string; readonly ordinal?: number } {
  const match = /^(.+)-(0|[1-9]\d{0,8})$/.exec(podName);
  return match ? { base: match[1]!, ordinal: Number(match[2]) } : { base: podName };
}

export function podName({ metadata }: StatefulSet, ordinal: number): string {
  return `${metadata.name}-${ordinal}`;
}

/** The numbers that there should be, lowest first. */
export function wantedOrdinals({ spec }: StatefulSet): readonly number[] {
  const { replicas = 1, ordinals } = spec;
  return Array.from({ length: replicas }, (_, index) => (ordinals?.start ?? 0) + index);
}

export function newPod(statefulSet: StatefulSet, ordinal: number, revision: ControllerRevision): Pod {
  const { metadata, spec } = revision.data?.spec?.template ?? statefulSet.spec.template;
  const { serviceName } = statefulSet.spec;
  const name = podName(statefulSet, ordinal);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: statefulSet.metadata.namespace ?? 'default',
      labels: {
        ...metadata?.labels,
        [revisionHashLabel]: hashOf(revision),
        [podNameLabel]: name,
        [podIndexLabel]: `${ordinal}`,
      },
      ...annotationsOf(statefulSet, metadata?.annotations),
      ownerReferences: [controllerReference(statefulSet)],
    },
    spec: {
      ...podSpecWithClaims(spec, statefulSet.spec.volumeClaimTemplates ?? [], name),
      hostname: name,
      ...(serviceName && { subdomain: serviceName }),
    },
    status: { phase: 'Pending' },
  };
}

/** The template's, and how the StatefulSet says its pods are fenced: the pod alone must tell, to all and for good. */
function annotationsOf({ metadata }: StatefulSet, template: Readonly<Record<string, string>> | undefined) {
  const own = Object.entries(metadata.annotations ?? {}).filter(([key]) =>
    fencingAnnotations.some((one) => one === key),
  );
  const annotations = { ...Object.fromEntries(own), ...template };
  return Object.keys(annotations).length > 0 ? { annotations } : {};
}
