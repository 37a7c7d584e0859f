/** Columns of HorizontalPodAutoscalers, and the words for their metrics. Pure. */
import { targetName } from '../../lib/model/autoscaling.ts';
import type { HorizontalPodAutoscaler, ResourceMetricSource } from '../../proto/gen/types.ts';
import { age } from './age.ts';
import type { Column } from './table.ts';

const unknown = '<unknown>';
const mostTargets = 2;

export function autoscalerColumns(nowMs: number): readonly Column<HorizontalPodAutoscaler>[] {
  return [
    { header: 'NAME', cell: ({ metadata }) => metadata.name },
    { header: 'REFERENCE', cell: ({ spec }) => targetName(spec.scaleTargetRef) },
    { header: 'TARGETS', cell: targetsText },
    { header: 'MINPODS', cell: ({ spec }) => String(spec.minReplicas ?? 1) },
    { header: 'MAXPODS', cell: ({ spec }) => String(spec.maxReplicas) },
    { header: 'REPLICAS', cell: ({ status }) => String(status?.currentReplicas ?? 0) },
    { header: 'AGE', cell: ({ metadata }) => age(metadata.creationTimestamp, nowMs) },
  ];
}

function targetsText(autoscaler: HorizontalPodAutoscaler): string {
  const texts = resourcesOf(autoscaler).map((metric) => {
    const { current, target } = figuresOf(autoscaler, metric);
    return `${metric.name}: ${current}/${target}`;
  });
  const more = texts.length - mostTargets;
  return more > 0 ? `${texts.slice(0, mostTargets).join(', ')} + ${more} more...` : texts.join(', ') || unknown;
}

export function resourcesOf({ spec }: HorizontalPodAutoscaler): readonly ResourceMetricSource[] {
  return (spec.metrics ?? []).flatMap(({ resource }) => resource ?? []);
}

/** `amount` is what a percentage is of. */
export function figuresOf(
  { status }: HorizontalPodAutoscaler,
  { name, target }: ResourceMetricSource,
): { readonly current: string; readonly target: string; readonly amount?: string } {
  const value = status?.currentMetrics?.find(({ resource }) => resource?.name === name)?.resource?.current;
  if (target.type === 'AverageValue')
    return { current: value?.averageValue ?? unknown, target: target.averageValue ?? unknown };
  const { averageUtilization: percent, averageValue } = value ?? {};
  return {
    current: percent === undefined ? unknown : `${percent}%`,
    target: `${target.averageUtilization}%`,
    ...(averageValue !== undefined && { amount: averageValue }),
  };
}
