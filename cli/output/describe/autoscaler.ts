/** `ctl describe hpa`. Pure. */
import { rulesOf, targetName } from '../../../lib/model/autoscaling.ts';
import type { HorizontalPodAutoscaler } from '../../../proto/gen/types.ts';
import { figuresOf, resourcesOf } from '../columns-autoscaling.ts';
import { headLines, indented, tableLines, timeText } from './lines.ts';

export function autoscalerLines(autoscaler: HorizontalPodAutoscaler): string[] {
  const { metadata, spec, status = {} } = autoscaler;
  const { currentReplicas = 0, desiredReplicas = 0, conditions = [] } = status;
  const metrics = resourcesOf(autoscaler).map((metric) => {
    const { current, target, amount } = figuresOf(autoscaler, metric);
    const how = metric.target.type === 'Utilization' ? '  (as a percentage of request)' : '';
    return `resource ${metric.name} on pods${how}:\t${current}${amount === undefined ? '' : ` (${amount})`} / ${target}`;
  });
  return [
    ...headLines(autoscaler),
    `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}`,
    `Reference:\t${targetName(spec.scaleTargetRef)}`,
    'Metrics:\t( current / target )',
    ...indented(metrics),
    `Min replicas:\t${spec.minReplicas ?? 1}`,
    `Max replicas:\t${spec.maxReplicas}`,
    ...(spec.behavior
      ? ['Behavior:', ...rulesLines(autoscaler, 'scaleUp'), ...rulesLines(autoscaler, 'scaleDown')]
      : []),
    `${spec.scaleTargetRef.kind} pods:\t${currentReplicas} current / ${desiredReplicas} desired`,
    ...(conditions.length > 0
      ? [
          'Conditions:',
          ...tableLines(
            ['Type', 'Status', 'Reason', 'Message'],
            conditions.map(({ type, status: value, reason = '', message = '' }) => [type, value, reason, message]),
          ),
        ]
      : []),
  ];
}

function rulesLines(autoscaler: HorizontalPodAutoscaler, direction: 'scaleUp' | 'scaleDown'): string[] {
  const { stabilizationWindowSeconds, selectPolicy, policies, tolerance } = rulesOf(autoscaler, direction);
  return [
    `  ${direction === 'scaleUp' ? 'Scale Up' : 'Scale Down'}:`,
    `    Stabilization Window: ${stabilizationWindowSeconds} seconds`,
    `    Select Policy: ${selectPolicy}`,
    ...(tolerance === undefined ? [] : [`    Tolerance: ${tolerance}`]),
    '    Policies:',
    ...policies.map(
      ({ type, value, periodSeconds }) => `      - Type: ${type}\tValue: ${value}\tPeriod: ${periodSeconds} seconds`,
    ),
  ];
}
