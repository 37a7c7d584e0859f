/** What kinds of workloads have in common: how a user writes their pods, and when a pod is as wanted. */
import { isPodFinished, isPodReady } from '../../../lib/model/pods.ts';
import type { Random } from '../../../lib/random.ts';
import type { KubeObject, Pod, PodSpec, PodTemplateSpec } from '../../../proto/gen/types.ts';
import { images } from '../images.ts';

/** What a check of convergence may look at. */
export interface View {
  list<K extends KubeObject['kind']>(kind: K): Extract<KubeObject, { kind: K }>[];
  /** The machine really runs it. */
  runs(nodeName: string, uid: string): boolean;
  /** The files that the machine shows the pod in a volume; undefined when there is no such volume. */
  volume(nodeName: string, uid: string, volume: string): Readonly<Record<string, string>> | undefined;
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

/** Names that users choose from, so that they meet. */
export const appNames = ['web', 'api', 'db', 'cache', 'queue'] as const;
/** The PriorityClass of pods that may take the place of others. */
export const importantClass = 'important';

export const pick = <T>(items: readonly T[], random: Random): T => items[Math.floor(random.next() * items.length)]!;
export const upTo = (most: number, random: Random): number => Math.floor(random.next() * (most + 1));

/** The pods behind a service or a budget: of a Deployment, or of a StatefulSet. */
export function someApp(random: Random): Readonly<Record<string, string>> {
  return { [random.next() < 0.7 ? 'app' : 'identity']: pick(appNames, random) };
}

export function podSpec(random: Random): PodSpec {
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
    ...(random.next() < 0.2 && { priorityClassName: importantClass }),
  };
}

/** Of pods that ask for nothing, so that they fit beside all others. */
export function smallPodSpec(random: Random): PodSpec {
  const { containers, ...rest } = podSpec(random);
  return { ...rest, containers: containers.map((container) => ({ ...container, resources: {} })) };
}

/** Of pods that do their work and end. */
export function workingPodSpec(random: Random): PodSpec {
  const { containers, ...rest } = podSpec(random);
  return {
    ...rest,
    containers: containers.map((container) => ({ ...container, command: ['sleep', '2'] })),
    restartPolicy: pick(['Never', 'OnFailure'], random),
  };
}

export function template(name: string, random: Random): PodTemplateSpec {
  return { metadata: { labels: { app: name } }, spec: podSpec(random) };
}

export function podProblem(pod: Pod, view: View): string | undefined {
  const { name, uid = '', deletionTimestamp } = pod.metadata;
  if (isPodFinished(pod) && !deletionTimestamp) return undefined;
  if (deletionTimestamp) return `pod ${name} is still being deleted on ${pod.spec.nodeName}`;
  if (!pod.spec.nodeName) return `pod ${name} has no node`;
  if (!isPodReady(pod)) return `pod ${name} on ${pod.spec.nodeName} is not ready`;
  if (!view.runs(pod.spec.nodeName, uid)) return `pod ${name} does not run on ${pod.spec.nodeName}`;
  return undefined;
}

export const isSeen = ({ metadata, status }: KubeObject & { status?: { observedGeneration?: number } }): boolean =>
  (status?.observedGeneration ?? 0) === metadata.generation;
