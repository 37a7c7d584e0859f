/** Columns of persistent volumes, claims and classes. Pure. */
import { isDefaultClass } from '../../lib/model/storage.ts';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../proto/gen/types.ts';
import { age } from './age.ts';
import type { Column } from './table.ts';

export function persistentVolumeColumns(nowMs: number): readonly Column<PersistentVolume>[] {
  return [
    { header: 'NAME', cell: ({ metadata }) => metadata.name },
    { header: 'CAPACITY', cell: ({ spec }) => spec.capacity?.storage ?? '' },
    { header: 'ACCESS MODES', cell: ({ spec }) => accessModesText(spec.accessModes) },
    { header: 'RECLAIM POLICY', cell: ({ spec }) => spec.persistentVolumeReclaimPolicy ?? 'Retain' },
    {
      header: 'STATUS',
      cell: ({ metadata, status }) => stateOf(metadata.deletionTimestamp, status?.phase ?? 'Pending'),
    },
    { header: 'CLAIM', cell: claimText },
    { header: 'STORAGECLASS', cell: ({ spec }) => spec.storageClassName ?? '' },
    { header: 'REASON', cell: ({ status }) => status?.reason ?? '' },
    { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) },
    { header: 'VOLUMEMODE', wide: true, cell: ({ spec }) => spec.volumeMode ?? 'Filesystem' },
  ];
}

export function claimColumns(nowMs: number): readonly Column<PersistentVolumeClaim>[] {
  return [
    { header: 'NAME', cell: ({ metadata }) => metadata.name },
    {
      header: 'STATUS',
      cell: ({ metadata, status }) => stateOf(metadata.deletionTimestamp, status?.phase ?? 'Pending'),
    },
    { header: 'VOLUME', cell: ({ spec }) => spec.volumeName ?? '' },
    { header: 'CAPACITY', cell: ({ status }) => status?.capacity?.storage ?? '' },
    { header: 'ACCESS MODES', cell: ({ status }) => accessModesText(status?.accessModes) },
    { header: 'STORAGECLASS', cell: ({ spec }) => spec.storageClassName ?? '' },
    { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) },
    { header: 'VOLUMEMODE', wide: true, cell: ({ spec }) => spec.volumeMode ?? 'Filesystem' },
  ];
}

export function storageClassColumns(nowMs: number): readonly Column<StorageClass>[] {
  return [
    { header: 'NAME', cell: (one) => `${one.metadata.name}${isDefaultClass(one) ? ' (default)' : ''}` },
    { header: 'PROVISIONER', cell: ({ provisioner }) => provisioner },
    { header: 'RECLAIMPOLICY', cell: ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete' },
    { header: 'VOLUMEBINDINGMODE', cell: ({ volumeBindingMode }) => volumeBindingMode ?? 'Immediate' },
    { header: 'ALLOWVOLUMEEXPANSION', cell: () => 'false' },
    { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) },
  ];
}

export function claimText({ spec }: PersistentVolume): string {
  return spec.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : '';
}

const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
};

/** `RWO,ROX` */
export function accessModesText(modes: readonly string[] = []): string {
  return modes.map((mode) => shortModes[mode] ?? mode).join(',');
}

export function stateOf(deletionTimestamp: string | undefined, phase: string): string {
  return deletionTimestamp === undefined ? phase : 'Terminating';
}
