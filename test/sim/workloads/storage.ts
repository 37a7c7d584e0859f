/** Claims and the volumes that they stand for; pods that use them are of StatefulSets, or of nobody. */
import { isDeleting } from '../../../lib/model/object.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimTemplate,
  Pod,
} from '../../../proto/gen/types.ts';
import { pick, type View, type Workload } from './workload.ts';

/** Volumes of this class are made by hand; there is no class object of the name. */
export const manualClass = 'manual';
const storage = ['1Gi', '2Gi'] as const;

export const claim: Workload = {
  kind: 'PersistentVolumeClaim',
  weight: 0.8,
  make: (name, random) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace: 'default' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: pick(storage, random) } },
      // Otherwise the default class, which makes volumes where the first pod is.
      ...(random.next() < 0.4 && { storageClassName: manualClass }),
    },
  }),
  // What it asks for never changes.
  change: (object) => object,
  load: () => 0,
  problem(object, view) {
    const { metadata, spec, status } = object as PersistentVolumeClaim;
    if (status?.phase === 'Lost') return 'its volume is lost';
    if (spec.volumeName === undefined) {
      const waits = spec.storageClassName === manualClass && !freeVolume(object as PersistentVolumeClaim, view);
      // One of the default class has its volume together with the first pod, which is looked at, too.
      return waits || spec.storageClassName !== manualClass ? undefined : 'it has no volume';
    }
    const volume = view.list('PersistentVolume').find((one) => one.metadata.name === spec.volumeName);
    if (volume?.spec.claimRef?.uid !== metadata.uid) return `its volume ${spec.volumeName} is not its own`;
    return status?.phase === 'Bound' && volume?.status?.phase === 'Bound' ? undefined : 'it is not said to be bound';
  },
};

/** A directory on a machine, which is there already and stays. */
export function manualVolume(name: string, nodeName: string): PersistentVolume {
  const requirement = { key: 'kubernetes.io/hostname', operator: 'In' as const, values: [nodeName] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '2Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: manualClass,
      local: { path: `/srv/${name}` },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [requirement] }] } },
    },
  };
}

/** Volumes go when nobody has them; those that an agent made, with their directory. */
export function volumeProblem(volume: PersistentVolume, view: View): string | undefined {
  const { metadata, spec, status } = volume;
  const holder = view
    .list('PersistentVolumeClaim')
    .find((one) => one.metadata.uid === spec.claimRef?.uid && one.spec.volumeName === metadata.name);
  if (holder) return status?.phase === 'Bound' ? undefined : `volume ${metadata.name} is not said to be bound`;
  if (isDeleting(volume)) return `volume ${metadata.name} is still being deleted`;
  if (spec.persistentVolumeReclaimPolicy === 'Delete') return `volume ${metadata.name} has outlived its claim`;
  const phase = spec.claimRef?.uid === undefined ? 'Available' : 'Released';
  return status?.phase === phase ? undefined : `volume ${metadata.name} is ${status?.phase} instead of ${phase}`;
}

export const claimNames = ({ spec }: Pod): readonly string[] =>
  (spec.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);

export function usesClaim(pod: Pod, { metadata }: PersistentVolumeClaim): boolean {
  return pod.metadata.namespace === metadata.namespace && claimNames(pod).includes(metadata.name);
}

/** Machines that the volume is on; undefined: it can be used on any. */
export function machinesOf({ spec }: PersistentVolume): readonly string[] | undefined {
  return spec.nodeAffinity?.required?.nodeSelectorTerms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.flatMap(({ key, values = [] }) => (key === 'kubernetes.io/hostname' ? values : [])),
  );
}

export function freeVolume(
  { metadata }: PersistentVolumeClaim,
  view: Pick<View, 'list'>,
): PersistentVolume | undefined {
  return view.list('PersistentVolume').find((volume) => {
    const { claimRef, storageClassName } = volume.spec;
    const isFree = claimRef === undefined || (claimRef.uid === undefined && claimRef.name === metadata.name);
    return isFree && storageClassName === manualClass && !isDeleting(volume);
  });
}

export const claimTemplate: PersistentVolumeClaimTemplate = {
  metadata: { name: 'data' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
};
