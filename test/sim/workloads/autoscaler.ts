/** How many pods a workload has, by what they use: as much as their images do, always. */
import { matchesSelector } from '../../../lib/model/labels.ts';
import { isControlledBy } from '../../../lib/model/object.ts';
import { parseQuantity } from '../../../lib/model/quantity.ts';
import type {
  Deployment,
  HorizontalPodAutoscaler,
  KubeObject,
  MetricSpec,
  Pod,
  ReplicaSet,
  StatefulSet,
} from '../../../proto/gen/types.ts';
import { cpuMillisOf } from '../images.ts';
import { appNames, pick, upTo, type View, type Workload } from './workload.ts';

type Target = Deployment | ReplicaSet | StatefulSet;

const targetKinds = ['Deployment', 'Deployment', 'Deployment', 'StatefulSet', 'ReplicaSet'] as const;
const tolerance = 0.1;
const mebibyte = 2 ** 20;

/** Some are met as they are, some by more pods or fewer, some never. */
const metrics: readonly MetricSpec[] = [
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 5 } } },
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 10 } } },
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'AverageValue', averageValue: '10m' } } },
  { type: 'Resource', resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 80 } } },
  { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '128Mi' } } },
];

export const autoscaler: Workload = {
  kind: 'HorizontalPodAutoscaler',
  weight: 1.5,
  make: (name, random, load) => {
    const maxReplicas = 1 + upTo(Math.min(2, load), random);
    return {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name, namespace: 'default' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: pick(targetKinds, random), name: pick(appNames, random) },
        minReplicas: 1 + upTo(maxReplicas - 1, random),
        maxReplicas,
        metrics: [pick(metrics, random)],
        // Five minutes, as by default, are more than a run has.
        behavior: { scaleDown: { stabilizationWindowSeconds: pick([0, 10], random) } },
      },
    };
  },
  change: (object, random, load) => autoscaler.make(object.metadata.name, random, load),
  // One pod its target has of its own.
  load: (object) => (object as HorizontalPodAutoscaler).spec.maxReplicas - 1,
  problem(object, view) {
    const { metadata, spec, status = {} } = object as HorizontalPodAutoscaler;
    if (status.observedGeneration !== metadata.generation) return 'its controller has not seen it';
    const target = targetOf(object as HorizontalPodAutoscaler, view);
    const condition = (type: string) => status.conditions?.find((one) => one.type === type);
    if (!target) return condition('AbleToScale')?.status === 'False' ? undefined : 'it scales what is not there';
    const current = target.spec.replicas ?? 1;
    if (status.currentReplicas !== current) return `it has seen ${status.currentReplicas} replicas, not ${current}`;
    if (current === 0) return undefined;
    if (hasRivals(object as HorizontalPodAutoscaler, target, view)) {
      return condition('ScalingActive')?.status === 'False' ? undefined : 'it does not see that it has rivals';
    }
    const { minReplicas = 1, maxReplicas } = spec;
    const range = `${minReplicas} to ${maxReplicas}`;
    if (current < minReplicas || current > maxReplicas) return `${current} replicas are not ${range}`;
    const figures = figuresOf(object as HorizontalPodAutoscaler, podsOf(target, view));
    if (!figures) return undefined;
    const shown = status.currentMetrics?.[0]?.resource?.current?.averageValue;
    if (shown !== figures.average) return `its pods use ${figures.average} each, and it says ${shown}`;
    const wanted = Math.min(Math.max(figures.replicas, minReplicas), maxReplicas);
    return wanted === current ? undefined : `${current} replicas instead of ${wanted} (of ${range})`;
  },
};

export function targetOf({ metadata, spec }: HorizontalPodAutoscaler, view: Pick<View, 'list'>): Target | undefined {
  const { kind, name } = spec.scaleTargetRef;
  const all = view.list(kind as Target['kind']) as Target[];
  return all.find((one) => one.metadata.name === name && one.metadata.namespace === metadata.namespace);
}

function podsOf(target: Target, view: View): readonly Pod[] {
  const sets = view.list('ReplicaSet').filter((set) => isControlledBy(set, target));
  const owners: readonly KubeObject[] = target.kind === 'Deployment' ? sets : [target];
  return view.list('Pod').filter((pod) => owners.some((owner) => isControlledBy(pod, owner)));
}

/** Another one that scales the same pods: then neither does. */
function hasRivals(own: HorizontalPodAutoscaler, target: Target, view: View): boolean {
  const pods = podsOf(target, view);
  return view.list('HorizontalPodAutoscaler').some((other) => {
    if (other.metadata.namespace !== own.metadata.namespace || other.metadata.name === own.metadata.name) return false;
    const rival = targetOf(other, view);
    if (!rival) return false;
    return rival === target || pods.some(({ metadata }) => matchesSelector(rival.spec.selector, metadata.labels));
  });
}

interface Figures {
  readonly average: string;
  readonly replicas: number;
}

/** Undefined: what the pods use cannot be put in relation to what they ask for. */
function figuresOf({ spec }: HorizontalPodAutoscaler, pods: readonly Pod[]): Figures | undefined {
  const metric = spec.metrics?.[0]?.resource;
  if (!metric || pods.length === 0) return undefined;
  const { name, target } = metric;
  const unit = name === 'cpu' ? 1000 : 1;
  const requests = pods.map(({ spec: { containers } }) => containers[0]!.resources?.requests?.[name]);
  const requested = requests.map((text) => (parseQuantity(text ?? '0') ?? 0) * unit);
  const used = pods.map(({ spec: { containers } }, index) =>
    name === 'cpu' ? Math.ceil(cpuMillisOf(containers[0]!.image ?? '')) : requested[index] || mebibyte,
  );
  const average = Math.floor(sum(used) / pods.length);
  const shown = name === 'cpu' ? `${average}m` : `${average}`;
  if (target.type === 'AverageValue') {
    const wanted = (parseQuantity(target.averageValue ?? '0') ?? 0) * unit;
    return { average: shown, replicas: replicasFor(average / wanted, pods.length) };
  }
  if (requests.includes(undefined)) return undefined;
  const percent = Math.floor((sum(used) * 100) / sum(requested));
  return { average: shown, replicas: replicasFor(percent / (target.averageUtilization ?? 1), pods.length) };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

function replicasFor(ratio: number, pods: number): number {
  return Math.abs(ratio - 1) <= tolerance ? pods : Math.ceil(ratio * pods);
}
