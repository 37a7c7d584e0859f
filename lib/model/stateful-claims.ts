/** The claims of a StatefulSet's pods: their names, and the volumes that stand for them in the pods. Pure. */
import type {
  PersistentVolumeClaim,
  PersistentVolumeClaimTemplate,
  PodSpec,
  PodTemplateSpec,
  StatefulSet,
} from '../../proto/gen/types.ts';
import { claimProtection } from './storage.ts';

/** `data-web-0` */
export function claimName({ metadata }: PersistentVolumeClaimTemplate, podName: string): string {
  return `${metadata.name}-${podName}`;
}

/** A volume for each template, in place of one of the template's own that is called so. */
export function podSpecWithClaims(
  spec: PodSpec,
  templates: readonly PersistentVolumeClaimTemplate[],
  podName: string,
): PodSpec {
  if (templates.length === 0) return spec;
  const names = new Set(templates.map(({ metadata }) => metadata.name));
  const own = (spec.volumes ?? []).filter(({ name }) => !names.has(name));
  const claimed = templates.map((template) => ({
    name: template.metadata.name,
    persistentVolumeClaim: { claimName: claimName(template, podName) },
  }));
  return { ...spec, volumes: [...own, ...claimed] };
}

/** The pod template as one of its pods will have it; also of what is not valid yet. */
export function withClaimVolumes({ template, volumeClaimTemplates = [] }: StatefulSet['spec']): PodTemplateSpec {
  if (!template?.spec) return template;
  const byName = new Map(volumeClaimTemplates.map((one) => [one.metadata?.name, one]));
  const named = [...byName.values()].filter(({ metadata }) => metadata?.name);
  return { ...template, spec: podSpecWithClaims(template.spec, named, 'pod') };
}

/** Without an owner: claims stay when the StatefulSet goes. */
export function claimsFor(statefulSet: StatefulSet, podName: string): readonly PersistentVolumeClaim[] {
  const { namespace = 'default' } = statefulSet.metadata;
  return (statefulSet.spec.volumeClaimTemplates ?? []).map((template) => {
    const { labels, annotations } = template.metadata;
    return {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: claimName(template, podName),
        namespace,
        labels: { ...labels, ...statefulSet.spec.selector.matchLabels },
        ...(annotations && { annotations }),
        finalizers: [claimProtection],
      },
      spec: template.spec,
      status: { phase: 'Pending' },
    };
  });
}
