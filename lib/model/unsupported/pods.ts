/** What Gantry lacks of pods and of what every object has. */
import { always, isOneOf, later, type Unsupported, type UnsupportedTable } from './reasons.ts';

const noVolume = (what: string): Unsupported =>
  later(`${what} volumes`, 'use emptyDir, configMap, secret, hostPath or persistentVolumeClaim instead');

const probeByGRPC = later('gRPC probes', 'use httpGet, tcpSocket or exec instead');

const handlerByTCP = later('tcpSocket hooks', 'use exec or httpGet instead');

const noServiceAccount: Unsupported = {
  reason: 'Gantry has no service accounts: pods get no API credentials',
  cure: 'remove it',
  harmless: isOneOf('default', ''),
};

const generatedName: Unsupported = { reason: 'pods of a template get generated names', cure: 'remove it' };

export const podFields: UnsupportedTable = {
  // Metadata that exported objects carry and that says nothing about what is wanted.
  'ObjectMeta.managedFields': { reason: 'the cluster keeps it', cure: 'remove it', harmless: always },
  'ObjectMeta.selfLink': { reason: 'the cluster keeps it', cure: 'remove it', harmless: always },
  'PodTemplateMeta.creationTimestamp': { reason: 'a template is not created', cure: 'remove it', harmless: always },
  'PodTemplateMeta.name': generatedName,
  'PodTemplateMeta.generateName': generatedName,
  'PodTemplateMeta.namespace': { reason: 'pods live in the namespace of their owner', cure: 'remove it' },
  'PodTemplateMeta.ownerReferences': { reason: 'the owner of the template owns its pods', cure: 'remove it' },
  'PodTemplateMeta.finalizers': later('finalizers in pod templates', 'remove them'),

  'PodAffinityTerm.namespaceSelector': later('namespace selectors in affinity', 'list the namespaces'),
  'PodAffinityTerm.matchLabelKeys': later('matchLabelKeys in affinity', 'write the labels into labelSelector'),
  'PodAffinityTerm.mismatchLabelKeys': later('mismatchLabelKeys in affinity', 'write them into labelSelector'),
  'TopologySpreadConstraint.minDomains': later('minDomains', 'remove it'),
  'TopologySpreadConstraint.matchLabelKeys': later(
    'matchLabelKeys in spread constraints',
    'write the labels into labelSelector',
  ),
  'TopologySpreadConstraint.nodeAffinityPolicy': {
    ...later('nodeAffinityPolicy', 'remove it: Honor is what is done'),
    harmless: isOneOf('Honor'),
  },
  'TopologySpreadConstraint.nodeTaintsPolicy': {
    ...later('nodeTaintsPolicy', 'remove it: Ignore is what is done'),
    harmless: isOneOf('Ignore'),
  },
  'PodSpec.serviceAccountName': noServiceAccount,
  'PodSpec.serviceAccount': noServiceAccount,
  'PodSpec.automountServiceAccountToken': { ...noServiceAccount, harmless: isOneOf(false) },
  'PodSpec.imagePullSecrets': {
    ...later('credentials for registries', 'use a registry that needs none, then remove it'),
    harmless: isOneOf([]),
  },
  'PodSpec.ephemeralContainers': later('ephemeral containers', 'use ctl exec to look into a running container'),
  'PodSpec.runtimeClassName': { reason: 'every pod runs under runc', cure: 'remove it' },
  'PodSpec.overhead': { reason: 'every pod runs under runc', cure: 'remove it' },
  'PodSpec.os': {
    reason: 'Gantry runs Linux containers only',
    cure: 'remove it',
    harmless: isOneOf({ name: 'linux' }),
  },
  'PodSpec.readinessGates': later('readiness gates', 'use a readinessProbe instead'),
  'PodSpec.schedulingGates': later('scheduling gates', 'remove them'),
  'PodSpec.setHostnameAsFQDN': { ...later('setHostnameAsFQDN', 'remove it'), harmless: isOneOf(false) },
  'PodSpec.resourceClaims': later('dynamic resources', 'remove them'),
  'PodSpec.resources': later('resources for a pod as a whole', 'set resources on its containers'),

  'PodSecurityContext.seLinuxOptions': { reason: 'Gantry sets no SELinux labels', cure: 'remove it' },
  'PodSecurityContext.seccompProfile': {
    reason: 'every container runs under the default profile',
    cure: 'remove it',
    harmless: isOneOf({ type: 'RuntimeDefault' }),
  },
  'PodSecurityContext.appArmorProfile': { reason: 'Gantry sets no AppArmor profiles', cure: 'remove it' },
  'PodSecurityContext.sysctls': later('sysctls for pods', 'remove them'),
  'PodSecurityContext.fsGroupChangePolicy': {
    ...later('fsGroupChangePolicy', 'remove it'),
    harmless: isOneOf('Always', 'OnRootMismatch'),
  },
  'PodSecurityContext.supplementalGroupsPolicy': {
    ...later('supplementalGroupsPolicy', 'remove it'),
    harmless: isOneOf('Merge'),
  },
  'SecurityContext.seLinuxOptions': { reason: 'Gantry sets no SELinux labels', cure: 'remove it' },
  'SecurityContext.seccompProfile': {
    reason: 'every container runs under the default profile',
    cure: 'remove it',
    harmless: isOneOf({ type: 'RuntimeDefault' }),
  },
  'SecurityContext.appArmorProfile': { reason: 'Gantry sets no AppArmor profiles', cure: 'remove it' },
  'SecurityContext.procMount': {
    reason: 'parts of /proc are always masked',
    cure: 'remove it',
    harmless: isOneOf('Default'),
  },

  'Container.terminationMessagePolicy': {
    reason: 'the termination message is read from its file only',
    cure: 'remove it',
    harmless: isOneOf('File', 'FallbackToLogsOnError'),
  },
  'Container.volumeDevices': later('block devices', 'use volumeMounts'),
  'Container.resizePolicy': later('resizing of running containers', 'remove it'),
  'Container.restartPolicy': later('sidecars among initContainers', 'move the container to spec.containers'),
  'Container.stdinOnce': { ...later('stdinOnce', 'remove it'), harmless: isOneOf(false) },
  'ResourceRequirements.claims': later('dynamic resources', 'remove them'),
  'VolumeMount.mountPropagation': {
    ...later('mount propagation', 'remove it'),
    harmless: isOneOf('None'),
  },
  'VolumeMount.subPathExpr': later('subPathExpr', 'use subPath'),
  'VolumeMount.recursiveReadOnly': {
    ...later('recursiveReadOnly', 'use readOnly'),
    harmless: isOneOf('Disabled'),
  },
  'Probe.grpc': probeByGRPC,
  'LifecycleHandler.tcpSocket': handlerByTCP,
  'Lifecycle.stopSignal': { reason: 'containers are stopped with SIGTERM', cure: 'remove it' },

  'Volume.projected': later('projected volumes', 'use one configMap or secret volume for each source'),
  'Volume.downwardAPI': later('downwardAPI volumes', 'use env with valueFrom.fieldRef'),
  'Volume.ephemeral': noVolume('ephemeral claim'),
  'Volume.image': noVolume('image'),
  'Volume.csi': noVolume('CSI'),
  'Volume.nfs': noVolume('NFS'),
  'Volume.iscsi': noVolume('iSCSI'),
  'Volume.cephfs': noVolume('CephFS'),
  'Volume.rbd': noVolume('Ceph RBD'),
  'Volume.glusterfs': noVolume('GlusterFS'),
  'Volume.fc': noVolume('Fibre Channel'),
  'Volume.flexVolume': noVolume('Flex'),
  'Volume.gitRepo': noVolume('gitRepo'),
  'Volume.awsElasticBlockStore': noVolume('cloud'),
  'Volume.azureDisk': noVolume('cloud'),
  'Volume.azureFile': noVolume('cloud'),
  'Volume.gcePersistentDisk': noVolume('cloud'),
  'EnvVarSource.fileKeyRef': later('fileKeyRef', 'use configMapKeyRef or secretKeyRef'),
};

/** Values of enumerations that Kubernetes has beside ours. */
export const podValues: UnsupportedTable = {
  'EmptyDirVolumeSource.medium=HugePages': later('huge pages', 'use medium: Memory'),
};
