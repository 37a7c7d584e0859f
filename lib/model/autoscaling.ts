/** What a HorizontalPodAutoscaler means where its author said nothing: Kubernetes' defaults (autoscaling/v2). Pure. */
import type {
  CrossVersionObjectReference,
  Deployment,
  HorizontalPodAutoscaler,
  HPAScalingRules,
  LimitRange,
  MetricSpec,
  PodTemplateSpec,
  ReplicaSet,
  StatefulSet,
} from '../../proto/gen/types.ts';
import { withLimitDefaults } from './limit-range.ts';

export const scalableKinds = ['Deployment', 'ReplicaSet', 'StatefulSet'] as const;
export type ScalableKind = (typeof scalableKinds)[number];
export type Scalable = Deployment | ReplicaSet | StatefulSet;

export function isScalableKind(kind: string): kind is ScalableKind {
  return (scalableKinds as readonly string[]).includes(kind);
}

const defaultMetrics: readonly MetricSpec[] = [
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
];

export type Rules = Required<Omit<HPAScalingRules, 'tolerance'>> & Pick<HPAScalingRules, 'tolerance'>;

const defaultRules: { readonly scaleUp: Rules; readonly scaleDown: Rules } = {
  scaleUp: {
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
    stabilizationWindowSeconds: 0,
  },
  scaleDown: {
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    stabilizationWindowSeconds: 300,
  },
};

export function rulesOf({ spec }: HorizontalPodAutoscaler, direction: 'scaleUp' | 'scaleDown'): Rules {
  return { ...defaultRules[direction], ...spec.behavior?.[direction] };
}

/** As Kubernetes, the rules are written out only where the author began to. */
export function withAutoscalerDefaults(object: HorizontalPodAutoscaler): HorizontalPodAutoscaler {
  if (!object.spec) return object;
  const { metrics = [], behavior } = object.spec;
  return {
    ...object,
    spec: {
      minReplicas: 1,
      ...object.spec,
      metrics: metrics.length > 0 ? metrics : [...defaultMetrics],
      ...(behavior && {
        behavior: { scaleUp: rulesOf(object, 'scaleUp'), scaleDown: rulesOf(object, 'scaleDown') },
      }),
    },
  };
}

/** `Deployment/web`. */
export function targetName({ kind, name }: CrossVersionObjectReference): string {
  return `${kind}/${name}`;
}

/** What a pod of this template lacks so that its use can be put in relation to what it asks for; undefined: nothing. */
export function missingRequest(template: PodTemplateSpec, resource: string): string | undefined {
  return template.spec.containers.find(({ resources }) => requestOf(resources, resource) === undefined)?.name;
}

/** A limit without a request is the request. */
export function requestOf(
  resources:
    | { readonly requests?: Readonly<Record<string, string>>; readonly limits?: Readonly<Record<string, string>> }
    | undefined,
  resource: string,
): string | undefined {
  return resources?.requests?.[resource] ?? resources?.limits?.[resource];
}

/** A sentence when this autoscaler will not be able to work on that workload; for whoever applies it. */
export function requestWarning(
  autoscaler: HorizontalPodAutoscaler,
  target: Scalable,
  ranges: readonly LimitRange[],
): string | undefined {
  const template = withLimitDefaults(target.spec.template, ranges);
  for (const { resource } of autoscaler.spec.metrics ?? []) {
    if (resource?.target.type !== 'Utilization') continue;
    const container = missingRequest(template, resource.name);
    if (container !== undefined) {
      const cure = requestCure(target, container, resource.name);
      return `it cannot scale by ${resource.name} utilization: container ${container} of ${target.kind} ${target.metadata.name} requests no ${resource.name}; ${cure}`;
    }
  }
  return undefined;
}

export function requestCure(target: Scalable, container: string, resource: string): string {
  const index = target.spec.template.spec.containers.findIndex(({ name }) => name === container);
  const path = `spec.template.spec.containers[${Math.max(0, index)}].resources.requests.${resource}`;
  return `set ${path} of ${target.kind} ${target.metadata.name}`;
}
