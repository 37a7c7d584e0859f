/** Pod templates, and what pods and templates have in common, in a description. Pure. */
import type { PodSpec, PodTemplateSpec, Toleration, Volume } from '../../../proto/gen/types.ts';
import { containerLines } from './container.ts';
import { annotationsField, indented, labelsField, listField, none } from './lines.ts';

/** Without the line "Pod Template:". */
export function templateLines({ metadata, spec }: PodTemplateSpec): string[] {
  const section = (name: string, containers: PodSpec['containers'] | undefined): string[] =>
    containers && containers.length > 0
      ? [`${name}:`, ...containers.flatMap((container) => containerLines(container, undefined, undefined))]
      : [];
  return indented([
    ...labelsField('Labels', metadata?.labels),
    ...(metadata?.annotations ? annotationsField(metadata.annotations) : []),
    ...section('Init Containers', spec.initContainers),
    ...section('Containers', spec.containers),
    ...volumeLines(spec.volumes, 1),
    ...placementLines(spec),
  ]);
}

export function volumeLines(volumes: readonly Volume[] | undefined, indent: 1 | 2): string[] {
  if (!volumes || volumes.length === 0) return [`Volumes:\t${none}`];
  return [
    'Volumes:',
    ...volumes.flatMap((volume) => [
      ...indented([`${volume.name}:`], indent),
      ...indented(sourceLines(volume), 2 * indent),
    ]),
  ];
}

function sourceLines({ emptyDir, configMap, secret, hostPath, persistentVolumeClaim }: Volume): string[] {
  if (persistentVolumeClaim) {
    const { claimName, readOnly = false } = persistentVolumeClaim;
    const type = 'PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)';
    return [`Type:\t${type}`, `ClaimName:\t${claimName}`, `ReadOnly:\t${readOnly}`];
  }
  if (emptyDir) {
    return [
      "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
      `Medium:\t${emptyDir.medium ?? ''}`,
      `SizeLimit:\t${emptyDir.sizeLimit ?? '<unset>'}`,
    ];
  }
  if (configMap) {
    const { name = '', optional = false } = configMap;
    return ['Type:\tConfigMap (a volume populated by a ConfigMap)', `Name:\t${name}`, `Optional:\t${optional}`];
  }
  if (secret) {
    const { secretName = '', optional = false } = secret;
    return ['Type:\tSecret (a volume populated by a Secret)', `SecretName:\t${secretName}`, `Optional:\t${optional}`];
  }
  return [
    'Type:\tHostPath (bare host directory volume)',
    `Path:\t${hostPath?.path ?? ''}`,
    `HostPathType:\t${hostPath?.type ?? ''}`,
  ];
}

export function placementLines({ nodeSelector, tolerations = [] }: PodSpec): string[] {
  return [...labelsField('Node-Selectors', nodeSelector), ...listField('Tolerations', tolerations.map(tolerationText))];
}

function tolerationText({ key = '', operator = 'Equal', value, effect, tolerationSeconds }: Toleration): string {
  const text = [
    key,
    value ? `=${value}` : '',
    effect ? `${key ? ':' : ''}${effect}` : '',
    operator === 'Exists' ? ' op=Exists' : '',
    tolerationSeconds === undefined ? '' : ` for ${tolerationSeconds}s`,
  ];
  return text.join('').trim();
}
