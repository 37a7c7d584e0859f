/** `ctl describe` of persistent volumes, claims and classes. Pure. */
import { isDefaultClass, usesClaim } from '../../../lib/model/storage.ts';
import type {
  NodeSelectorTerm,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../../proto/gen/types.ts';
import { accessModesText, claimText, stateOf } from '../columns-storage.ts';
import { headLines, indented, listField, none } from './lines.ts';

export function claimLines(claim: PersistentVolumeClaim, pods: readonly Pod[]): string[] {
  const { metadata, spec, status } = claim;
  const users = pods.filter((pod) => usesClaim(pod, claim)).map((pod) => pod.metadata.name);
  const [name, ...rest] = headLines(claim);
  return [
    name ?? '',
    ...rest.filter((line) => line.startsWith('Namespace:')),
    `StorageClass:\t${spec.storageClassName ?? ''}`,
    `Status:\t${stateOf(metadata.deletionTimestamp, status?.phase ?? 'Pending')}`,
    `Volume:\t${spec.volumeName ?? ''}`,
    ...rest.filter((line) => !line.startsWith('Namespace:')),
    ...listField('Finalizers', [`[${(metadata.finalizers ?? []).join(' ')}]`]),
    `Capacity:\t${status?.capacity?.storage ?? ''}`,
    `Access Modes:\t${accessModesText(status?.accessModes)}`,
    `VolumeMode:\t${spec.volumeMode ?? 'Filesystem'}`,
    ...listField('Used By', users.sort()),
  ];
}

export function persistentVolumeLines(volume: PersistentVolume): string[] {
  const { metadata, spec, status } = volume;
  return [
    ...headLines(volume),
    ...listField('Finalizers', [`[${(metadata.finalizers ?? []).join(' ')}]`]),
    `StorageClass:\t${spec.storageClassName ?? ''}`,
    `Status:\t${stateOf(metadata.deletionTimestamp, status?.phase ?? 'Pending')}`,
    `Claim:\t${claimText(volume)}`,
    `Reclaim Policy:\t${spec.persistentVolumeReclaimPolicy ?? 'Retain'}`,
    `Access Modes:\t${accessModesText(spec.accessModes)}`,
    `VolumeMode:\t${spec.volumeMode ?? 'Filesystem'}`,
    `Capacity:\t${spec.capacity?.storage ?? ''}`,
    ...affinityLines(spec.nodeAffinity?.required.nodeSelectorTerms),
    `Message:\t${status?.message ?? ''}`,
    'Source:',
    ...indented(sourceLines(volume), 4),
  ];
}

function affinityLines(terms: readonly NodeSelectorTerm[] | undefined): string[] {
  if (!terms) return [`Node Affinity:\t${none}`];
  const texts = terms.map(({ matchExpressions = [], matchFields = [] }, index) => {
    const parts = [...matchExpressions, ...matchFields].map(({ key, operator, values = [] }) =>
      values.length > 0
        ? `${key} ${operator.toLowerCase()} [${values.join(', ')}]`
        : `${key} ${operator.toLowerCase()}`,
    );
    return `Term ${index}:\t${parts.join(', ')}`;
  });
  return ['Node Affinity:', ...indented(['Required Terms:', ...indented(texts)])];
}

function sourceLines({ spec }: PersistentVolume): string[] {
  const { local, hostPath } = spec;
  if (hostPath) return ['Type:\tHostPath', `Path:\t${hostPath.path}`, `HostPathType:\t${hostPath.type ?? ''}`];
  const path = local?.path ?? '';
  const where = path.startsWith('/') ? '' : " (below the data directory of the node's agent)";
  return ['Type:\tLocalVolume', `Path:\t${path}${where}`];
}

export function storageClassLines(storageClass: StorageClass): string[] {
  const { metadata, provisioner, reclaimPolicy, volumeBindingMode } = storageClass;
  return [
    `Name:\t${metadata.name}`,
    `IsDefaultClass:\t${isDefaultClass(storageClass) ? 'Yes' : 'No'}`,
    ...headLines(storageClass).slice(1),
    `Provisioner:\t${provisioner}`,
    `ReclaimPolicy:\t${reclaimPolicy ?? 'Delete'}`,
    `VolumeBindingMode:\t${volumeBindingMode ?? 'Immediate'}`,
  ];
}
