/**
 * What an object means where its author said nothing, written into the spec at admission, so that every reader sees the
 * same. The values are those that the field comments in proto/gantry/v1 promise. Pure; the given object stays as it is.
 * Tolerates objects that are not valid yet: validation comes afterwards and reports on the whole.
 */
import type {
  CronJob,
  DaemonSet,
  Deployment,
  JobSpec,
  KubeObject,
  LimitRange,
  Namespace,
  PersistentVolumeClaimTemplate,
  PodTemplateSpec,
  ReplicaSet,
  Secret,
  Service,
  StatefulSet,
} from '../../proto/gen/types.ts';
import { withAutoscalerDefaults } from './autoscaling.ts';
import { withPodSpecDefaults } from './defaults-pod.ts';
import { persistentVolume, storageClass, withClaimDefaults } from './defaults-storage.ts';
import { withItemDefaults } from './limit-range.ts';
import { kindInfo } from './schema.ts';

export const defaultNamespace = 'default';

export function withDefaults<T extends KubeObject>(object: T): T {
  return defaultsOfKind(withNamespace(object)) as T;
}

function withNamespace<T extends KubeObject>(object: T): T {
  if (kindInfo(object.kind).clusterScoped || !object.metadata || object.metadata.namespace) return object;
  return { ...object, metadata: { ...object.metadata, namespace: defaultNamespace } };
}

function defaultsOfKind(object: KubeObject): KubeObject {
  switch (object.kind) {
    case 'Pod':
      return object.spec ? { ...object, spec: withPodSpecDefaults(object.spec) } : object;
    case 'Deployment':
      return deployment(object);
    case 'ReplicaSet':
      return replicaSet(object);
    case 'DaemonSet':
      return daemonSet(object);
    case 'StatefulSet':
      return statefulSet(object);
    case 'Job':
      return object.spec ? { ...object, spec: withJobSpecDefaults(object.spec) } : object;
    case 'CronJob':
      return cronJob(object);
    case 'HorizontalPodAutoscaler':
      return withAutoscalerDefaults(object);
    case 'PersistentVolume':
      return persistentVolume(object);
    case 'PersistentVolumeClaim':
      return object.spec ? { ...object, spec: withClaimDefaults(object.spec) } : object;
    case 'StorageClass':
      return storageClass(object);
    case 'Service':
      return service(object);
    case 'Secret':
      return secret(object);
    case 'LimitRange':
      return limitRange(object);
    case 'Namespace':
      return namespace(object);
    default:
      return object;
  }
}

function template<T extends { template: PodTemplateSpec }>(spec: T): T {
  if (!spec.template?.spec) return spec;
  return { ...spec, template: { ...spec.template, spec: withPodSpecDefaults(spec.template.spec) } };
}

function deployment(object: Deployment): Deployment {
  if (!object.spec) return object;
  const { strategy = {}, ...rest } = object.spec;
  const type = strategy.type ?? 'RollingUpdate';
  const rollingUpdate =
    type === 'RollingUpdate'
      ? { rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%', ...strategy.rollingUpdate } }
      : {};
  return {
    ...object,
    spec: {
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...template(rest as Deployment['spec']),
      strategy: { ...strategy, type, ...rollingUpdate },
    },
  };
}

function replicaSet(object: ReplicaSet): ReplicaSet {
  return object.spec ? { ...object, spec: { replicas: 1, ...template(object.spec) } } : object;
}

function daemonSet(object: DaemonSet): DaemonSet {
  if (!object.spec) return object;
  const { updateStrategy = {}, ...rest } = object.spec;
  const type = updateStrategy.type ?? 'RollingUpdate';
  const rollingUpdate =
    type === 'RollingUpdate' ? { rollingUpdate: { maxUnavailable: '1', ...updateStrategy.rollingUpdate } } : {};
  return {
    ...object,
    spec: {
      revisionHistoryLimit: 10,
      ...template(rest as DaemonSet['spec']),
      updateStrategy: { ...updateStrategy, type, ...rollingUpdate },
    },
  };
}

function statefulSet(object: StatefulSet): StatefulSet {
  if (!object.spec) return object;
  const { updateStrategy = {}, ...rest } = object.spec;
  const type = updateStrategy.type ?? 'RollingUpdate';
  const rollingUpdate =
    type === 'RollingUpdate' ? { rollingUpdate: { partition: 0, ...updateStrategy.rollingUpdate } } : {};
  return {
    ...object,
    spec: {
      replicas: 1,
      podManagementPolicy: 'OrderedReady',
      revisionHistoryLimit: 10,
      ...template(withHostUsers(rest as StatefulSet['spec'])),
      ...(rest.volumeClaimTemplates && { volumeClaimTemplates: rest.volumeClaimTemplates.map(claimTemplate) }),
      updateStrategy: { ...updateStrategy, type, ...rollingUpdate },
    },
  };
}

/** As for pods that name claims themselves. */
function withHostUsers(spec: StatefulSet['spec']): StatefulSet['spec'] {
  if (!spec.volumeClaimTemplates?.length || !spec.template?.spec) return spec;
  return { ...spec, template: { ...spec.template, spec: { hostUsers: true, ...spec.template.spec } } };
}

function claimTemplate(one: PersistentVolumeClaimTemplate): PersistentVolumeClaimTemplate {
  return one.spec ? { ...one, spec: withClaimDefaults(one.spec) } : one;
}

/** With neither number given it is one pod; with parallelism alone the pods share a queue. */
function withJobSpecDefaults(spec: JobSpec): JobSpec {
  const { parallelism, completions } = spec;
  return {
    parallelism: 1,
    ...(parallelism === undefined && completions === undefined && { completions: 1 }),
    backoffLimit: 6,
    completionMode: 'NonIndexed',
    ...template(spec),
  };
}

function cronJob(object: CronJob): CronJob {
  if (!object.spec) return object;
  const { jobTemplate } = object.spec;
  return {
    ...object,
    spec: {
      concurrencyPolicy: 'Allow',
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
      ...object.spec,
      ...(jobTemplate?.spec && { jobTemplate: { ...jobTemplate, spec: withJobSpecDefaults(jobTemplate.spec) } }),
    },
  };
}

function service(object: Service): Service {
  if (!object.spec) return object;
  const { ports, ...rest } = object.spec;
  const clusterIP = rest.clusterIP || rest.clusterIPs?.[0];
  return {
    ...object,
    spec: {
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ...rest,
      ...(clusterIP && { clusterIP, clusterIPs: rest.clusterIPs?.length ? rest.clusterIPs : [clusterIP] }),
      ...(ports && {
        ports: ports.map((port) => ({
          protocol: 'TCP' as const,
          ...(port.port !== undefined && { targetPort: String(port.port) }),
          ...port,
        })),
      }),
    },
  };
}

function secret({ stringData, ...object }: Secret): Secret {
  const given = Object.entries(stringData ?? {}).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return {
    ...object,
    type: object.type ?? 'Opaque',
    ...(given.length > 0 && { data: { ...object.data, ...Object.fromEntries(given) } }),
  };
}

function limitRange(object: LimitRange): LimitRange {
  if (!object.spec?.limits) return object;
  return { ...object, spec: { ...object.spec, limits: object.spec.limits.map(withItemDefaults) } };
}

function namespace(object: Namespace): Namespace {
  if (!object.metadata?.name) return object;
  const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
  return { ...object, metadata: { ...object.metadata, labels } };
}
