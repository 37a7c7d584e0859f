/** Pods with names that stay, and must not run twice. */
import { fencingAnnotation, stopAfterAnnotation } from '../../../lib/model/fencing.ts';
import { isControlledBy } from '../../../lib/model/object.ts';
import type { Random } from '../../../lib/random.ts';
import type { Pod, StatefulSet, StatefulSetUpdateStrategy } from '../../../proto/gen/types.ts';
import { claimTemplate } from './storage.ts';
import { isSeen, pick, podProblem, smallPodSpec, template, upTo, type Workload } from './workload.ts';

const strategies: readonly StatefulSetUpdateStrategy[] = [
  { type: 'RollingUpdate' },
  { type: 'RollingUpdate', rollingUpdate: { partition: 1 } },
  { type: 'OnDelete' },
];
const fencings: readonly Readonly<Record<string, string>>[] = [
  { [fencingAnnotation]: 'strict' },
  { [fencingAnnotation]: 'stop-after', [stopAfterAnnotation]: '5' },
];

export const statefulSet: Workload = {
  kind: 'StatefulSet',
  weight: 4,
  make(name, random, load) {
    const claims = random.next() < 0.4;
    return {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name, namespace: 'default', annotations: pick(fencings, random) },
      spec: {
        replicas: upTo(Math.min(3, load), random),
        serviceName: name,
        selector: { matchLabels: { identity: name } },
        template: identityTemplate(name, random, claims),
        podManagementPolicy: pick(['OrderedReady', 'Parallel'], random),
        updateStrategy: pick(strategies, random),
        ...(claims && { volumeClaimTemplates: [claimTemplate] }),
      },
    };
  },
  change(object, random, load) {
    const { spec } = object as StatefulSet;
    const dice = random.next();
    const changed =
      dice < 0.4
        ? { replicas: upTo(Math.min(3, load), random) }
        : dice < 0.8
          ? { template: identityTemplate(object.metadata.name, random, spec.volumeClaimTemplates !== undefined) }
          : { updateStrategy: pick(strategies, random) };
    return { ...object, spec: { ...spec, ...changed } } as StatefulSet;
  },
  load: (object) => (object as StatefulSet).spec.replicas ?? 1,
  problem(object, view) {
    const { metadata, spec, status = {} } = object as StatefulSet;
    const wanted = spec.replicas ?? 1;
    if (!isSeen(object as StatefulSet)) return 'its controller has not seen it';
    const pods = view.list('Pod').filter((pod) => isControlledBy(pod, object));
    const expected = Array.from({ length: wanted }, (_, ordinal) => `${metadata.name}-${ordinal}`);
    const names = pods.map((pod) => pod.metadata.name).sort();
    if (names.join() !== expected.join()) return `its pods are ${names.join(', ')} instead of ${expected.join(', ')}`;
    const { replicas = 0, readyReplicas = 0, availableReplicas = 0, updateRevision = '' } = status;
    const counts = [replicas, readyReplicas, availableReplicas];
    if (counts.some((count) => count !== wanted)) return `its status counts ${counts.join(', ')} instead of ${wanted}`;
    const stale = pods.find(
      (pod) => mustBeUpdated(object as StatefulSet, pod) && hashOf(pod) !== suffix(updateRevision),
    );
    if (stale) return `pod ${stale.metadata.name} is of a former template`;
    return pods.map((pod) => podProblem(pod, view)).find((problem) => problem !== undefined);
  },
};

/** Where their volumes are, other pods may have taken what there is. */
function identityTemplate(name: string, random: Random, claims: boolean) {
  const { spec } = template(name, random);
  return { metadata: { labels: { identity: name } }, spec: claims ? smallPodSpec(random) : spec };
}

function mustBeUpdated({ spec }: StatefulSet, { metadata }: Pod): boolean {
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  return type !== 'OnDelete' && Number(suffix(metadata.name)) >= (rollingUpdate?.partition ?? 0);
}

const hashOf = ({ metadata }: Pod): string | undefined => metadata.labels?.['controller-revision-hash'];
const suffix = (name: string): string => name.slice(name.lastIndexOf('-') + 1);
