/** What Gantry lacks of volumes, claims and storage classes. */
import { always, isOneOf, later, type Unsupported, type UnsupportedTable } from './reasons.ts';

const noSource = (what: string): Unsupported => later(`${what} volumes`, 'use local or hostPath');

const noMountOptions: Unsupported = { reason: 'directories are mounted as they are', cure: 'remove it' };

const onePod = later('volumes for one pod at a time', 'use ReadWriteOnce');

export const storageFields: UnsupportedTable = {
  'PersistentVolumeClaimTemplate.status': { reason: 'the cluster keeps it', cure: 'remove it', harmless: always },
  'PersistentVolumeSpec.csi': noSource('CSI'),
  'PersistentVolumeSpec.nfs': noSource('NFS'),
  'PersistentVolumeSpec.iscsi': noSource('iSCSI'),
  'PersistentVolumeSpec.cephfs': noSource('CephFS'),
  'PersistentVolumeSpec.rbd': noSource('Ceph RBD'),
  'PersistentVolumeSpec.glusterfs': noSource('GlusterFS'),
  'PersistentVolumeSpec.fc': noSource('Fibre Channel'),
  'PersistentVolumeSpec.flexVolume': noSource('Flex'),
  'PersistentVolumeSpec.awsElasticBlockStore': noSource('cloud'),
  'PersistentVolumeSpec.azureDisk': noSource('cloud'),
  'PersistentVolumeSpec.azureFile': noSource('cloud'),
  'PersistentVolumeSpec.gcePersistentDisk': noSource('cloud'),
  'PersistentVolumeSpec.mountOptions': { ...noMountOptions, harmless: isOneOf([]) },
  'PersistentVolumeSpec.volumeAttributesClassName': later('volume attributes classes', 'remove it'),
  'LocalVolumeSource.fsType': { reason: 'a directory is mounted as it is', cure: 'remove it' },
  'PersistentVolumeClaimSpec.dataSource': later('volumes made from others', 'remove it, and copy the data'),
  'PersistentVolumeClaimSpec.dataSourceRef': later('volumes made from others', 'remove it, and copy the data'),
  'PersistentVolumeClaimSpec.volumeAttributesClassName': later('volume attributes classes', 'remove it'),
  'StorageClass.parameters': { reason: 'neither provisioner has parameters', cure: 'remove it', harmless: isOneOf({}) },
  'StorageClass.mountOptions': { ...noMountOptions, harmless: isOneOf([]) },
  'StorageClass.allowVolumeExpansion': { ...later('growing volumes', 'remove it'), harmless: isOneOf(false) },
  'StorageClass.allowedTopologies': later('allowedTopologies', 'use nodeSelector or affinity in the pods'),
};

/** Values of enumerations that Kubernetes has beside ours. */
export const storageValues: UnsupportedTable = {
  'PersistentVolumeSpec.accessModes=ReadWriteOncePod': onePod,
  'PersistentVolumeClaimSpec.accessModes=ReadWriteOncePod': onePod,
  'PersistentVolumeSpec.volumeMode=Block': later('block devices', 'use volumeMode: Filesystem'),
  'PersistentVolumeClaimSpec.volumeMode=Block': later('block devices', 'use volumeMode: Filesystem'),
  'PersistentVolumeSpec.persistentVolumeReclaimPolicy=Recycle': {
    reason: 'it is gone from Kubernetes',
    cure: 'use Retain',
  },
};
