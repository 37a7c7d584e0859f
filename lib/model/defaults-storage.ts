/** Defaults of persistent volumes, claims and classes. */
import type { PersistentVolume, PersistentVolumeClaimSpec, StorageClass } from '../../proto/gen/types.ts';
import { localProvisioner } from './storage.ts';

export function persistentVolume(object: PersistentVolume): PersistentVolume {
  if (!object.spec) return object;
  const { hostPath } = object.spec;
  return {
    ...object,
    spec: {
      persistentVolumeReclaimPolicy: 'Retain',
      volumeMode: 'Filesystem',
      ...object.spec,
      ...(hostPath && { hostPath: { type: '', ...hostPath } }),
    },
  };
}

export function withClaimDefaults(spec: PersistentVolumeClaimSpec): PersistentVolumeClaimSpec {
  return { volumeMode: 'Filesystem', ...spec };
}

export function storageClass(object: StorageClass): StorageClass {
  const volumeBindingMode = object.provisioner === localProvisioner ? 'WaitForFirstConsumer' : 'Immediate';
  return { reclaimPolicy: 'Delete', volumeBindingMode, ...object };
}
