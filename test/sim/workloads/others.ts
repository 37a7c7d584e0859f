/** Configuration, policies, and pods of nobody. */
import type { Random } from '../../../lib/random.ts';
import type { KubeObject, Pod, PodDisruptionBudget, PodSpec } from '../../../proto/gen/types.ts';
import { images } from '../images.ts';
import { appNames, pick, podSpec, smallPodSpec, someApp, type Workload } from './workload.ts';

export const configMap: Workload = {
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

export const secret: Workload = {
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

/** How many pods of an app drains and preemption must leave standing. */
export const budget: Workload = {
  kind: 'PodDisruptionBudget',
  weight: 0.7,
  make: (name, random) => ({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, namespace: 'default' },
    spec: {
      selector: { matchLabels: someApp(random) },
      ...pick([{ minAvailable: '1' }, { minAvailable: '50%' }, { maxUnavailable: '1' }], random),
    },
  }),
  change: (object, random) => budget.make(object.metadata.name, random, 0),
  load: () => 0,
  problem(object) {
    const { metadata, status } = object as PodDisruptionBudget;
    return status?.observedGeneration === metadata.generation ? undefined : 'its controller has not seen it';
  },
};

/** A pod of nobody: it goes with its node, and some come to an end of their own. */
/** Where its volume is, other pods may have taken what there is. */
function claimingPodSpec(random: Random): PodSpec {
  const volume = { name: 'data', persistentVolumeClaim: { claimName: pick(appNames, random) } };
  return { ...smallPodSpec(random), volumes: [volume] };
}

export const bare: Workload = {
  kind: 'Pod',
  weight: 1,
  make(name, random, load) {
    const claimed = random.next() < 0.3;
    const spec = claimed ? claimingPodSpec(random) : podSpec(random);
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
