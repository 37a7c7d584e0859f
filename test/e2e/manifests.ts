/** Objects that the tests apply, as short as they can be. */
import type { Container, Deployment, Pod, PodSpec, Service } from '../../proto/gen/types.ts';

const small = { requests: { cpu: '10m', memory: '8Mi' } };

/** A container that sleeps in busybox unless told otherwise; it ends at once when asked to. */
export function sleeper(container: Partial<Container> = {}): Container {
  return { name: 'main', image: 'busybox:1', command: ['sleep', 'infinity'], resources: small, ...container };
}

export function pod(name: string, spec: Partial<PodSpec> & { containers?: Container[] } = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 0, containers: [sleeper()], ...spec },
  };
}

export function shellPod(name: string, script: string, spec: Partial<PodSpec> = {}): Pod {
  return pod(name, { ...spec, containers: [sleeper({ command: ['sh', '-c', script] })] });
}

export const on = (node: string): Pick<PodSpec, 'nodeSelector'> => ({
  nodeSelector: { 'kubernetes.io/hostname': node },
});

export function deployment(
  name: string,
  replicas: number,
  spec: Partial<PodSpec>,
  rest: Partial<Deployment['spec']> = {},
): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { terminationGracePeriodSeconds: 0, containers: [sleeper()], ...spec },
      },
      ...rest,
    },
  };
}

/** Answers HTTP on 8080 with {"pod","ip","node"}; leaves its service before it ends, within three seconds. */
export function echo(env: Record<string, string> = {}): Pick<PodSpec, 'containers' | 'terminationGracePeriodSeconds'> {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    terminationGracePeriodSeconds: 10,
    containers: [
      {
        name: 'echo',
        image: 'echo:1',
        ports: [{ name: 'http', containerPort: 8080 }],
        env: [
          field('POD_NAME', 'metadata.name'),
          field('POD_IP', 'status.podIP'),
          field('NODE_NAME', 'spec.nodeName'),
          ...Object.entries(env).map(([name, value]) => ({ name, value })),
        ],
        readinessProbe: { httpGet: { path: '/', port: '8080' }, periodSeconds: 1 },
        resources: { requests: { cpu: '10m', memory: '16Mi' } },
      },
    ],
  };
}

export function service(name: string, app: string, spec: Partial<Service['spec']> = {}): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { selector: { app }, ports: [{ name: 'http', port: 80, targetPort: '8080' }], ...spec },
  };
}

export const headless = (name: string, app: string): Service =>
  service(name, app, { clusterIP: 'None', ports: [{ name: 'http', port: 8080, targetPort: '8080' }] });
