/**
 * What Kubernetes has and Gantry does not: every such kind, field and value is refused by name with a reason and the
 * next step. A field whose value is exactly what Gantry does anyway (as `kubectl get -o yaml` writes it) is accepted.
 */

export interface Unsupported {
  readonly reason: string;
  readonly cure: string;
  /** Values that ask for nothing that Gantry would not do; the field is then left out. */
  readonly harmless?: (value: unknown) => boolean;
}

const isOneOf =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.some((allowed) => JSON.stringify(allowed) === JSON.stringify(value));

const always = (): boolean => true;

const later = (what: string, cure: string): Unsupported => ({ reason: `Gantry has no ${what} yet`, cure });

const noVolume = (what: string): Unsupported =>
  later(`${what} volumes`, 'use emptyDir, configMap, secret, hostPath or persistentVolumeClaim instead');

const noSource = (what: string): Unsupported => later(`${what} volumes`, 'use local or hostPath');

/** What Kubernetes writes into every Job. */
function isGeneratedSelector(value: unknown): boolean {
  const { matchLabels, ...rest } = (value ?? {}) as { matchLabels?: object | null };
  const generated = Object.keys(matchLabels ?? {}).every((key) =>
    /^(batch\.kubernetes\.io\/)?controller-uid$/.test(key),
  );
  return generated && Object.keys(rest).length === 0;
}

const probeByGRPC = later('gRPC probes', 'use httpGet, tcpSocket or exec instead');
const handlerByTCP = later('tcpSocket hooks', 'use exec or httpGet instead');
const noServiceAccount: Unsupported = {
  reason: 'Gantry has no service accounts: pods get no API credentials',
  cure: 'remove it',
  harmless: isOneOf('default', ''),
};
const generatedName: Unsupported = { reason: 'pods of a template get generated names', cure: 'remove it' };

const noMountOptions: Unsupported = { reason: 'directories are mounted as they are', cure: 'remove it' };

const otherMetric = later('metrics other than cpu and memory of whole pods', 'use type Resource');

/** By message type and field. */
const fields: Readonly<Record<string, Unsupported>> = {
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

  'ServiceSpec.externalTrafficPolicy': { ...later('traffic policies', 'remove it'), harmless: isOneOf('Cluster') },
  'ServiceSpec.internalTrafficPolicy': { ...later('traffic policies', 'remove it'), harmless: isOneOf('Cluster') },
  'ServiceSpec.trafficDistribution': later('traffic distribution', 'remove it'),
  'ServiceSpec.loadBalancerIP': later('load balancers', 'use type NodePort'),
  'ServiceSpec.loadBalancerClass': later('load balancers', 'use type NodePort'),
  'ServiceSpec.loadBalancerSourceRanges': later('load balancers', 'use type NodePort'),
  'ServiceSpec.allocateLoadBalancerNodePorts': later('load balancers', 'use type NodePort'),
  'ServiceSpec.healthCheckNodePort': later('load balancers', 'use type NodePort'),
  'ServiceSpec.externalIPs': later('external IPs', 'use type NodePort'),
  'ServiceSpec.sessionAffinityConfig': later('sessionAffinityConfig', 'remove it'),
  'ServiceSpec.ipFamilies': {
    reason: 'services have IPv4 addresses only',
    cure: 'remove it',
    harmless: isOneOf(['IPv4']),
  },
  'ServiceSpec.ipFamilyPolicy': {
    reason: 'services have IPv4 addresses only',
    cure: 'remove it',
    harmless: isOneOf('SingleStack', 'PreferDualStack'),
  },
  'Endpoint.zone': later('topology hints', 'remove it'),
  'Endpoint.hints': later('topology hints', 'remove it'),
  'NodeSpec.podCIDRs': { reason: 'a node has one range', cure: 'remove it', harmless: always },
  'NodeSpec.configSource': { reason: 'agents are configured by flags', cure: 'remove it' },
  'RollingUpdateDaemonSet.maxSurge': {
    ...later('surge for DaemonSets', 'use maxUnavailable'),
    harmless: isOneOf(0, '0', '0%'),
  },
  'DaemonSetSpec.templateGeneration': { reason: 'it is gone from apps/v1', cure: 'remove it', harmless: always },
  'JobSpec.selector': {
    reason: 'the cluster knows the pods of a Job by its uid',
    cure: 'remove it',
    harmless: isGeneratedSelector,
  },
  'JobSpec.manualSelector': {
    reason: 'the cluster knows the pods of a Job by its uid',
    cure: 'remove it',
    harmless: isOneOf(false),
  },
  'JobSpec.podReplacementPolicy': {
    reason: 'pods that are told to stop are replaced at once',
    cure: 'remove it',
    harmless: isOneOf('TerminatingOrFailed'),
  },
  'JobSpec.backoffLimitPerIndex': later('backoff limits for each index', 'use backoffLimit'),
  'JobSpec.maxFailedIndexes': later('backoff limits for each index', 'use backoffLimit'),
  'JobSpec.successPolicy': later('success policies', 'use completions'),
  'JobSpec.managedBy': {
    reason: 'the Job controller runs every Job',
    cure: 'remove it',
    harmless: isOneOf('kubernetes.io/job-controller'),
  },
  'PodFailurePolicyRule.onPodConditions': {
    reason: 'pods that are told to stop never count as failures',
    cure: 'remove the rule when its action is Ignore or Count; there is nothing instead of FailJob',
  },
  'StatefulSetSpec.persistentVolumeClaimRetentionPolicy': {
    reason: 'claims of a StatefulSet always stay',
    cure: 'remove it, and delete claims that are not needed any more',
    harmless: (value) => !Object.values(value ?? {}).includes('Delete'),
  },
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
  'RollingUpdateStatefulSet.maxUnavailable': {
    ...later('updates of several pods of a StatefulSet at once', 'remove it'),
    harmless: isOneOf(1, '1'),
  },
  'MetricSpec.pods': otherMetric,
  'MetricSpec.object': otherMetric,
  'MetricSpec.external': otherMetric,
  'MetricSpec.containerResource': otherMetric,
  'MetricTarget.value': {
    reason: 'what all pods use together is no target',
    cure: 'use averageValue or averageUtilization',
  },
  'ResourceQuotaSpec.scopeSelector': later('scope selectors', 'use scopes'),
  'DeploymentSpec.rollbackTo': { reason: 'it is gone from apps/v1', cure: 'use ctl rollout undo' },
};

const onePod = later('volumes for one pod at a time', 'use ReadWriteOnce');

/** By message type, field and value: values of an enumeration that Kubernetes has beside ours. */
const values: Readonly<Record<string, Unsupported>> = {
  'PersistentVolumeSpec.accessModes=ReadWriteOncePod': onePod,
  'PersistentVolumeClaimSpec.accessModes=ReadWriteOncePod': onePod,
  'PersistentVolumeSpec.volumeMode=Block': later('block devices', 'use volumeMode: Filesystem'),
  'PersistentVolumeClaimSpec.volumeMode=Block': later('block devices', 'use volumeMode: Filesystem'),
  'PersistentVolumeSpec.persistentVolumeReclaimPolicy=Recycle': {
    reason: 'it is gone from Kubernetes',
    cure: 'use Retain',
  },
  'MetricSpec.type=Pods': otherMetric,
  'MetricSpec.type=Object': otherMetric,
  'MetricSpec.type=External': otherMetric,
  'MetricSpec.type=ContainerResource': otherMetric,
  'MetricTarget.type=Value': {
    reason: 'a resource of all pods together is no target',
    cure: 'use type AverageValue with averageValue, or Utilization with averageUtilization',
  },
  'PodFailurePolicyRule.action=FailIndex': later('backoff limits for each index', 'use FailJob'),
  'ServiceSpec.type=LoadBalancer': later('load balancers', 'use type NodePort, which opens the port on every node'),
  'ResourceQuotaSpec.scopes=PriorityClass': later('quotas by priority', 'give these pods a namespace of their own'),
  'ResourceQuotaSpec.scopes=CrossNamespacePodAffinity': later('quotas by affinity', 'remove it'),
  'ResourceQuotaSpec.scopes=VolumeAttributesClass': later('volume attributes', 'remove it'),
  'EmptyDirVolumeSource.medium=HugePages': later('huge pages', 'use medium: Memory'),
  'EndpointSlice.addressType=IPv6': later('IPv6 endpoints', 'use addressType: IPv4'),
  'EndpointSlice.addressType=FQDN': later('FQDN endpoints', 'use a Service of type ExternalName'),
};

const deployment = 'use a Deployment';
const noRBAC = 'the role in a client certificate (admin, editor or viewer) says who may do what; remove it';

const kinds: Readonly<Record<string, Unsupported>> = {
  ReplicationController: { reason: 'ReplicaSets replaced it', cure: deployment },
  Ingress: later('Ingress', 'use a Service of type NodePort'),
  IngressClass: later('Ingress', 'use a Service of type NodePort'),
  NetworkPolicy: later('network policies', 'remove it, and know that all pods can reach one another'),
  ServiceAccount: { reason: 'Gantry has no service accounts', cure: 'remove it' },
  Role: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  RoleBinding: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  ClusterRole: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  ClusterRoleBinding: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  Endpoints: { reason: 'EndpointSlices replaced it', cure: 'use an EndpointSlice of discovery.k8s.io/v1' },
  CustomResourceDefinition: { reason: 'the kinds of Gantry are fixed', cure: 'remove it' },
};

export const unsupportedField = (type: string, field: string): Unsupported | undefined =>
  own(fields, `${type}.${field}`);

export const unsupportedValue = (type: string, field: string, value: string): Unsupported | undefined =>
  own(values, `${type}.${field}=${value}`);

export const unsupportedKind = (kind: string): Unsupported | undefined => own(kinds, kind);

function own(table: Readonly<Record<string, Unsupported>>, key: string): Unsupported | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
