/** Deployments, and ReplicaSets that users make themselves or set free. */
import { controllerOf, isControlledBy } from '../../../lib/model/object.ts';
import type { Random } from '../../../lib/random.ts';
import type { Deployment, DeploymentStrategy, PodTemplateSpec, ReplicaSet } from '../../../proto/gen/types.ts';
import { following, followsConfiguration, withConfiguration } from './configuration.ts';
import { isSeen, pick, podProblem, template, upTo, type Workload } from './workload.ts';

const strategies: readonly DeploymentStrategy[] = [
  { type: 'Recreate' },
  { type: 'RollingUpdate', rollingUpdate: { maxSurge: '1', maxUnavailable: '0' } },
];

export const deployment: Workload = {
  kind: 'Deployment',
  weight: 5,
  make(name, random, load) {
    const follows = random.next() < 0.3;
    const annotations = pick([{}, {}, { 'gantry.dev/auto-rollback': 'true' }], random);
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: 'default', annotations: { ...annotations, ...(follows && following) } },
      spec: {
        replicas: upTo(load, random),
        selector: { matchLabels: { app: name } },
        template: templateOf(name, random, follows),
        ...(random.next() < 0.3 && { strategy: pick(strategies, random) }),
        ...(random.next() < 0.5 && { progressDeadlineSeconds: 8 }),
      },
    };
  },
  change(object, random, load) {
    const { metadata, spec } = object as Deployment;
    const changed =
      random.next() < 0.5
        ? { replicas: upTo(load, random) }
        : { template: templateOf(metadata.name, random, followsConfiguration(object)) };
    return { ...object, spec: { ...spec, ...changed } } as Deployment;
  },
  load: (object) => (object as Deployment).spec.replicas ?? 1,
  problem(object, view) {
    const { spec, status = {} } = object as Deployment;
    const wanted = spec.replicas ?? 1;
    if (!isSeen(object as Deployment)) return 'its controller has not seen it';
    const sets = view.list('ReplicaSet').filter((set) => isControlledBy(set, object));
    const pods = view.list('Pod').filter((pod) => sets.some((set) => isControlledBy(pod, set)));
    if (pods.length !== wanted) return `${pods.length} pods instead of ${wanted}`;
    const { updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0, replicas = 0 } = status;
    // A former revision that runs in its place is not of the template that there is.
    const updated = status.rollback ? wanted : updatedReplicas;
    const counts = [replicas, updated, readyReplicas, availableReplicas];
    if (counts.some((count) => count !== wanted)) return `its status counts ${counts.join(', ')} instead of ${wanted}`;
    return pods.map((pod) => podProblem(pod, view)).find((problem) => problem !== undefined);
  },
};

function templateOf(name: string, random: Random, follows: boolean): PodTemplateSpec {
  const plain = template(name, random);
  return follows ? withConfiguration(plain, random) : plain;
}

export const replicaSet: Workload = {
  kind: 'ReplicaSet',
  weight: 0.5,
  make: (name, random, load) => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: upTo(load, random),
      selector: { matchLabels: { set: name } },
      template: { ...template(name, random), metadata: { labels: { set: name } } },
    },
  }),
  change: (object, random, load) => {
    const { spec } = object as ReplicaSet;
    return { ...object, spec: { ...spec, replicas: upTo(load, random) } } as ReplicaSet;
  },
  load: (object) => (controllerOf(object) ? 0 : ((object as ReplicaSet).spec.replicas ?? 1)),
  problem(object, view) {
    const wanted = (object as ReplicaSet).spec.replicas ?? 1;
    const pods = view.list('Pod').filter((pod) => isControlledBy(pod, object));
    if (!isSeen(object as ReplicaSet)) return 'its controller has not seen it';
    return pods.length === wanted ? undefined : `${pods.length} pods instead of ${wanted}`;
  },
};
