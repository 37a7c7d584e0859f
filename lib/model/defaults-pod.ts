/** Defaults of a pod's spec, in a Pod or in a template. */
import type { Container, EnvVar, LifecycleHandler, PodSpec, Probe, Volume } from '../../proto/gen/types.ts';
import { holdsUnknown } from './unknown.ts';

export function withPodSpecDefaults({ nodeName, ...spec }: PodSpec): PodSpec {
  const ownsHost = spec.hostNetwork === true || spec.hostPID === true || spec.hostIPC === true;
  const mountsHost = (spec.volumes ?? []).some((volume) => volume.hostPath ?? volume.persistentVolumeClaim);
  const container = (one: Container): Container => withContainerDefaults(one, spec.hostNetwork === true);
  return {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    // The kernel gives a user namespace no rights over the node's own namespaces, and the node's files belong to ids
    // that are nobody in one: such pods keep the node's users.
    hostUsers: ownsHost || mountsHost,
    enableServiceLinks: false,
    ...spec,
    // An empty name is no node: the scheduler must not take such a pod for bound.
    ...(nodeName && { nodeName }),
    ...(spec.containers && { containers: spec.containers.map(container) }),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(container) }),
    ...(spec.volumes && { volumes: spec.volumes.map(withVolumeDefaults) }),
  };
}

function withContainerDefaults(container: Container, hostNetwork: boolean): Container {
  const { ports, env, resources, livenessProbe, readinessProbe, startupProbe, lifecycle } = container;
  return {
    terminationMessagePath: '/dev/termination-log',
    imagePullPolicy: pullPolicy(container.image ?? ''),
    ...container,
    ...(ports && {
      ports: ports.map((port) => ({
        protocol: 'TCP' as const,
        ...(hostNetwork && port.containerPort !== undefined && { hostPort: port.containerPort }),
        ...port,
      })),
    }),
    ...(env && { env: env.map(withEnvDefaults) }),
    ...(resources && { resources: withRequests(resources) }),
    ...(livenessProbe && { livenessProbe: withProbeDefaults(livenessProbe) }),
    ...(readinessProbe && { readinessProbe: withProbeDefaults(readinessProbe) }),
    ...(startupProbe && { startupProbe: withProbeDefaults(startupProbe) }),
    ...(lifecycle && {
      lifecycle: {
        ...lifecycle,
        ...(lifecycle.postStart && { postStart: withHandlerDefaults(lifecycle.postStart) }),
        ...(lifecycle.preStop && { preStop: withHandlerDefaults(lifecycle.preStop) }),
      },
    }),
  };
}

/** An image without a tag means latest, which may move; one with a digest cannot. */
function pullPolicy(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const name = image.slice(image.lastIndexOf('/') + 1);
  return !name.includes(':') || name.endsWith(':latest') ? 'Always' : 'IfNotPresent';
}

function withEnvDefaults(variable: EnvVar): EnvVar {
  const fieldRef = variable.valueFrom?.fieldRef;
  if (!fieldRef) return variable;
  return { ...variable, valueFrom: { ...variable.valueFrom, fieldRef: { apiVersion: 'v1', ...fieldRef } } };
}

function withRequests(resources: NonNullable<Container['resources']>): NonNullable<Container['resources']> {
  if (!resources.limits) return resources;
  // pids is a limit only: the scheduler does not count processes.
  const { pids: _limitOnly, ...limits } = resources.limits;
  const requests = { ...limits, ...resources.requests };
  return Object.keys(requests).length === 0 ? resources : { ...resources, requests };
}

function withProbeDefaults(probe: Probe): Probe {
  return {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...probe,
    ...withHTTPDefaults(probe),
  };
}

function withHandlerDefaults(handler: LifecycleHandler): LifecycleHandler {
  return { ...handler, ...withHTTPDefaults(handler) };
}

function withHTTPDefaults({ httpGet }: Pick<Probe, 'httpGet'>): Pick<Probe, 'httpGet'> {
  return httpGet ? { httpGet: { path: '/', scheme: 'HTTP', ...httpGet } } : {};
}

function withVolumeDefaults(volume: Volume): Volume {
  const { configMap, secret, hostPath, emptyDir, persistentVolumeClaim } = volume;
  const isOfNewerKind = holdsUnknown(volume);
  if (persistentVolumeClaim) return volume;
  if (!configMap && !secret && !hostPath && !emptyDir) return isOfNewerKind ? volume : { ...volume, emptyDir: {} };
  return {
    ...volume,
    ...(configMap && { configMap: { defaultMode: 0o644, ...configMap } }),
    ...(secret && { secret: { defaultMode: 0o644, ...secret } }),
    ...(hostPath && { hostPath: { type: '', ...hostPath } }),
  };
}
