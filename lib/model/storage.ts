/** Persistent volumes, claims and classes: what suits what. Pure. */
import type {
  ObjectReference,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimStatus,
  Pod,
  PodSpec,
  StorageClass,
} from '../../proto/gen/types.ts';
import { matchesSelector } from './labels.ts';
import { wholeUnits } from './quantity.ts';

/** A claim in use, and a volume that is bound, do not go. */
export const claimProtection = 'kubernetes.io/pvc-protection';
export const volumeProtection = 'kubernetes.io/pv-protection';

export const defaultClassAnnotation = 'storageclass.kubernetes.io/is-default-class';
export const provisionedByAnnotation = 'pv.kubernetes.io/provisioned-by';
export const localProvisioner = 'gantry.dev/local';

export function isDefaultClass({ metadata }: StorageClass): boolean {
  return metadata.annotations?.[defaultClassAnnotation] === 'true';
}

/** The default class for claims that name none: the newest, as in Kubernetes, should there be several. */
export function defaultClassOf(classes: readonly StorageClass[]): StorageClass | undefined {
  const age = ({ metadata }: StorageClass): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
  return classes.filter(isDefaultClass).sort((a, b) => (age(a) < age(b) ? 1 : -1))[0];
}

/** Names of the claims behind a pod's volumes. */
export function claimNamesOf(spec: PodSpec): string[] {
  const names = (spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => claim?.claimName ?? []);
  return [...new Set(names)];
}

export function usesClaim({ spec, metadata }: Pod, claim: PersistentVolumeClaim): boolean {
  return metadata.namespace === claim.metadata.namespace && claimNamesOf(spec).includes(claim.metadata.name);
}

export function referenceToClaim({ metadata }: PersistentVolumeClaim): ObjectReference {
  const { name, namespace = 'default', uid } = metadata;
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, ...(uid !== undefined && { uid }) };
}

/** Whether the volume is bound to this claim, or kept for one of its name. */
export function isFor({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const { claimRef } = spec;
  if (!claimRef || claimRef.name !== metadata.name || claimRef.namespace !== metadata.namespace) return false;
  return claimRef.uid === undefined || claimRef.uid === metadata.uid;
}

export function isBoundTo(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (
    isFor(volume, claim) && volume.spec.claimRef?.uid !== undefined && claim.spec.volumeName === volume.metadata.name
  );
}

/** Those that the claim could have and nobody has, the best first: the one that is kept for it, then the smallest. */
export function suitableVolumes(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
): PersistentVolume[] {
  const suitable = volumes.filter((volume) => suits(volume, claim));
  const rank = (volume: PersistentVolume): [number, number, string] => [
    volume.spec.claimRef ? 0 : 1,
    capacityOf(volume),
    volume.metadata.name,
  ];
  return suitable.sort((a, b) => compare(rank(a), rank(b)));
}

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  const index = a.findIndex((part, at) => part !== b[at]);
  return index < 0 ? 0 : a[index]! < b[index]! ? -1 : 1;
}

/** Whether a claim that has no volume yet can have this one. */
export function suits(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const { spec, metadata, status } = volume;
  if (metadata.deletionTimestamp !== undefined || status?.phase === 'Released' || status?.phase === 'Failed')
    return false;
  if (spec.claimRef && !isFor(volume, claim)) return false;
  const { volumeName, storageClassName = '', accessModes, selector } = claim.spec;
  if (volumeName !== undefined && volumeName !== metadata.name) return false;
  return (
    (spec.storageClassName ?? '') === storageClassName &&
    accessModes.every((mode) => spec.accessModes?.includes(mode)) &&
    capacityOf(volume) >= requestOf(claim) &&
    (selector === undefined || matchesSelector(selector, metadata.labels))
  );
}

export function capacityOf({ spec }: PersistentVolume): number {
  return wholeUnits(spec.capacity?.storage ?? '0');
}

export function requestOf({ spec }: PersistentVolumeClaim): number {
  return wholeUnits(spec.resources.requests?.storage ?? '0');
}

/** Both sides of a binding, as they will be stored. */
export function bound(
  volume: PersistentVolume,
  claim: PersistentVolumeClaim,
): { readonly volume: PersistentVolume; readonly claim: PersistentVolumeClaim } {
  const { capacity, accessModes } = volume.spec;
  const status: PersistentVolumeClaimStatus = {
    phase: 'Bound',
    ...(accessModes && { accessModes: [...accessModes] }),
    ...(capacity && { capacity }),
  };
  return {
    volume: { ...volume, spec: { ...volume.spec, claimRef: referenceToClaim(claim) }, status: { phase: 'Bound' } },
    claim: { ...claim, spec: { ...claim.spec, volumeName: volume.metadata.name }, status },
  };
}

/** Whether an agent makes and removes the directory of the volume. */
export function isProvisioned({ spec }: PersistentVolume): boolean {
  return spec.local !== undefined && !spec.local.path.startsWith('/');
}
