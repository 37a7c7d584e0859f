/**
 * What users make and change, and when it has become what they wanted. A new kind of workload is one more entry in
 * `workloads`.
 */
import { isControlledBy } from '../../lib/model/object.ts';
import { isPodFinished, isPodReady } from '../../lib/model/pods.ts';
import type { Random } from '../../lib/random.ts';
import type {
  DaemonSet,
  Deployment,
  DeploymentStrategy,
  Job,
  KubeObject,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Service,
} from '../../proto/gen/types.ts';
import { images } from './images.ts';

/** What a check of convergence may look at. */
export interface View {
  list<K extends KubeObject['kind']>(kind: K): Extract<KubeObject, { kind: K }>[];
  /** The machine really runs it. */
  runs(nodeName: string, uid: string): boolean;
}

export interface Workload {
  readonly kind: KubeObject['kind'];
  /** How often it is chosen, relative to the others. */
  readonly weight: number;
  /** A manifest as a user would write it. `load` is how many pods it may ask for. */
  make(name: string, random: Random, load: number): KubeObject;
  /** The same object, wanted differently. */
  change(object: KubeObject, random: Random, load: number): KubeObject;
  /** Pods it asks for. */
  load(object: KubeObject): number;
  /** Why it is not as wanted; undefined when it is. */
  problem(object: KubeObject, view: View): string | undefined;
}

const pick = <T>(items: readonly T[], random: Random): T => items[Math.floor(random.next() * items.length)]!;
const upTo = (most: number, random: Random): number => Math.floor(random.next() * (most + 1));

function podSpec(random: Random): PodSpec {
  const probed = random.next() < 0.5;
  return {
    containers: [
      {
        name: 'main',
        image: pick(images, random),
        resources: {
          requests: { cpu: pick(['100m', '200m', '350m'], random), memory: pick(['64Mi', '256Mi'], random) },
        },
        ...(probed && { readinessProbe: { httpGet: { path: '/', port: '8080' }, periodSeconds: 1 } }),
      },
    ],
    terminationGracePeriodSeconds: pick([0, 1, 5], random),
    ...(random.next() < 0.15 && { hostNetwork: true }),
    ...(random.next() < 0.2 && { initContainers: [{ name: 'first', image: 'web:1', command: ['sleep', '1'] }] }),
    ...(random.next() < 0.3 && { volumes: [{ name: 'settings', configMap: { name: 'hot', optional: true } }] }),
  };
}

function template(name: string, random: Random): PodTemplateSpec {
  return { metadata: { labels: { app: name } }, spec: podSpec(random) };
}

const strategies: readonly DeploymentStrategy[] = [
  { type: 'Recreate' },
  { type: 'RollingUpdate', rollingUpdate: { maxSurge: '1', maxUnavailable: '0' } },
];

const deployment: Workload = {
  kind: 'Deployment',
  weight: 5,
  make: (name, random, load) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: upTo(load, random),
      selector: { matchLabels: { app: name } },
      template: template(name, random),
      ...(random.next() < 0.3 && { strategy: pick(strategies, random) }),
    },
  }),
  change(object, random, load) {
    const { spec } = object as Deployment;
    const changed =
      random.next() < 0.5 ? { replicas: upTo(load, random) } : { template: template(object.metadata.name, random) };
    return { ...object, spec: { ...spec, ...changed } } as Deployment;
  },
  load: (object) => (object as Deployment).spec.replicas ?? 1,
  problem(object, view) {
    const { metadata, spec, status = {} } = object as Deployment;
    const wanted = spec.replicas ?? 1;
    if ((status.observedGeneration ?? 0) !== metadata.generation) return 'its controller has not seen it';
    const sets = view.list('ReplicaSet').filter((set) => isControlledBy(set, object));
    const pods = view.list('Pod').filter((pod) => sets.some((set) => isControlledBy(pod, set)));
    if (pods.length !== wanted) return `${pods.length} pods instead of ${wanted}`;
    const { updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0, replicas = 0 } = status;
    const counts = [replicas, updatedReplicas, readyReplicas, availableReplicas];
    if (counts.some((count) => count !== wanted)) return `its status counts ${counts.join(', ')} instead of ${wanted}`;
    return pods.map((pod) => podProblem(pod, view)).find((problem) => problem !== undefined);
  },
};

export function podProblem(pod: Pod, view: View): string | undefined {
  const { name, uid = '', deletionTimestamp } = pod.metadata;
  if (isPodFinished(pod) && !deletionTimestamp) return undefined;
  if (deletionTimestamp) return `pod ${name} is still being deleted on ${pod.spec.nodeName}`;
  if (!pod.spec.nodeName) return `pod ${name} has no node`;
  if (!isPodReady(pod)) return `pod ${name} on ${pod.spec.nodeName} is not ready`;
  if (!view.runs(pod.spec.nodeName, uid)) return `pod ${name} does not run on ${pod.spec.nodeName}`;
  return undefined;
}

const service: Workload = {
  kind: 'Service',
  weight: 2,
  make: (name, random) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { selector: { app: pick(appNames, random) }, ports: [{ port: 80, targetPort: '8080' }] },
  }),
  change: (object, random) => {
    const { spec } = object as Service;
    return { ...object, spec: { ...spec, selector: { app: pick(appNames, random) } } } as Service;
  },
  load: () => 0,
  problem(object, view) {
    const { spec, metadata } = object as Service;
    const app = spec.selector?.app;
    const isHere = (other: KubeObject): boolean => other.metadata.namespace === metadata.namespace;
    const wanted = view
      .list('Pod')
      .filter((pod) => isHere(pod) && pod.metadata.labels?.app === app && isPodReady(pod))
      .map((pod) => pod.status?.podIP);
    const found = view
      .list('EndpointSlice')
      .filter((slice) => isHere(slice) && slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name)
      .flatMap((slice) => slice.endpoints ?? [])
      .filter((endpoint) => endpoint.conditions?.ready)
      .flatMap(({ addresses }) => addresses ?? []);
    const same = wanted.length === found.length && wanted.every((ip) => ip !== undefined && found.includes(ip));
    return same ? undefined : `its endpoints are ${found.join(', ')} instead of ${wanted.join(', ')}`;
  },
};

const configMap: Workload = {
  kind: 'ConfigMap',
  weight: 1,
  make: (name, random) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default' },
    data: { value: String(random.next()) },
  }),
  change: (object, random) => ({ ...object, data: { value: String(random.next()) } }) as KubeObject,
  load: () => 0,
  problem: () => undefined,
};

/** One pod on every node; it asks for nothing, so that it fits beside all others. */
const daemonSet: Workload = {
  kind: 'DaemonSet',
  weight: 1,
  make: (name, random) => ({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name, namespace: 'default' },
    spec: {
      selector: { matchLabels: { daemon: name } },
      template: { metadata: { labels: { daemon: name } }, spec: smallPodSpec(random) },
    },
  }),
  change: (object, random) => daemonSet.make(object.metadata.name, random, 0),
  load: () => 0,
  problem(object, view) {
    const { metadata, status = {} } = object as DaemonSet;
    if ((status.observedGeneration ?? 0) !== metadata.generation) return 'its controller has not seen it';
    const wanted = view.list('Node').length;
    const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, numberReady = 0, numberMisscheduled = 0 } = status;
    const pods = view.list('Pod').filter((pod) => isControlledBy(pod, object));
    const counts = [pods.length, desiredNumberScheduled, updatedNumberScheduled, numberReady];
    if (counts.some((count) => count !== wanted)) return `it counts ${counts.join(', ')} for ${wanted} nodes`;
    return numberMisscheduled > 0 ? `${numberMisscheduled} pods where none should be` : undefined;
  },
};

function smallPodSpec(random: Random): PodSpec {
  const { containers, ...rest } = podSpec(random);
  return { ...rest, containers: containers.map((container) => ({ ...container, resources: {} })) };
}

/** Work that comes to an end, well or badly: pods that faults have killed count against it. */
const job: Workload = {
  kind: 'Job',
  weight: 1,
  make(name, random, load) {
    const { containers, ...rest } = podSpec(random);
    const spec: PodSpec = {
      ...rest,
      containers: containers.map((container) => ({ ...container, command: ['sleep', '2'] })),
      restartPolicy: pick(['Never', 'OnFailure'], random),
    };
    return {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, namespace: 'default' },
      spec: { completions: 1 + upTo(3, random), parallelism: Math.min(2, load), backoffLimit: 2, template: { spec } },
    };
  },
  change: (object, random, load) => {
    const { spec } = object as Job;
    return { ...object, spec: { ...spec, parallelism: upTo(Math.min(3, load), random) } } as Job;
  },
  load: (object) => (isOver(object as Job) ? 0 : ((object as Job).spec.parallelism ?? 1)),
  problem: (object) =>
    isOver(object as Job) || (object as Job).spec.parallelism === 0 ? undefined : 'it has not ended',
};

const isOver = ({ status }: Job): boolean =>
  status?.conditions?.some(({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True') ===
  true;

/** A pod of nobody: it goes with its node, and some come to an end of their own. */
const bare: Workload = {
  kind: 'Pod',
  weight: 1,
  make(name, random, load) {
    const spec = podSpec(random);
    const [main] = spec.containers;
    const ends = load === 0 || random.next() < 0.5;
    const containers = ends ? [{ ...main!, command: ['sleep', '3'] }] : [main!];
    const metadata = { name, namespace: 'default' };
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { ...spec, containers, ...(ends && { restartPolicy: 'Never' }) },
    };
  },
  // Of a pod only the image may change.
  change: (object, random) => {
    const { spec } = object as Pod;
    const containers = spec.containers.map((container) => ({ ...container, image: pick(images, random) }));
    return { ...object, spec: { ...spec, containers } } as Pod;
  },
  load: (object) => (object.metadata.ownerReferences?.length ? 0 : 1),
  problem: () => undefined,
};

const secret: Workload = {
  kind: 'Secret',
  weight: 1,
  make: (name, random) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default' },
    data: { value: Buffer.from(String(random.next())).toString('base64') },
  }),
  change: (object, random) => secret.make(object.metadata.name, random, 0),
  load: () => 0,
  problem: () => undefined,
};

/** Names that users choose from, so that they meet. */
export const appNames = ['web', 'api', 'db', 'cache', 'queue'] as const;

export const workloads: readonly Workload[] = [deployment, service, configMap, secret, bare, daemonSet, job];

export function workloadOf(kind: string): Workload | undefined {
  return workloads.find((workload) => workload.kind === kind);
}

/** Why the cluster is not as its users want it; empty when it is. */
export function problemsOf(view: View): string[] {
  const problems = workloads.flatMap((workload) =>
    view.list(workload.kind).flatMap((object) => {
      const problem = workload.problem(object, view);
      return problem ? [`${object.kind} ${object.metadata.name}: ${problem}`] : [];
    }),
  );
  const namespaces = view
    .list('Namespace')
    .filter(({ metadata }) => metadata.deletionTimestamp)
    .map(({ metadata }) => `namespace ${metadata.name} is still being deleted`);
  const pods = view.list('Pod').flatMap((pod) => podProblem(pod, view) ?? []);
  return [...problems, ...namespaces, ...pods];
}
