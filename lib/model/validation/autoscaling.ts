/** HorizontalPodAutoscaler. */
import type { HorizontalPodAutoscaler, HPAScalingRules, MetricTarget } from '../../../proto/gen/types.ts';
import { isScalableKind, scalableKinds } from '../autoscaling.ts';
import { at } from '../problems.ts';
import { parseQuantity } from '../quantity.ts';
import { checkAtLeast, checkRange, type Report } from './checks.ts';

const longestWindowSeconds = 3600;
const longestPeriodSeconds = 1800;

export function checkAutoscaler({ spec }: HorizontalPodAutoscaler, report: Report): void {
  if (!spec) return;
  const { scaleTargetRef: target, minReplicas, maxReplicas, metrics = [], behavior } = spec;
  checkTarget(target, report);
  checkAtLeast(minReplicas, 1, 'spec.minReplicas', report);
  checkAtLeast(maxReplicas, 1, 'spec.maxReplicas', report);
  if (minReplicas !== undefined && maxReplicas >= 1 && maxReplicas < minReplicas) {
    report('spec.maxReplicas', `${maxReplicas} is less than minReplicas (${minReplicas})`);
  }
  for (const [index, { type, resource }] of metrics.entries()) {
    const path = at(at('spec.metrics', index), 'resource');
    if (!resource && type === 'Resource') report(path, 'required: which resource, cpu or memory?');
    if (resource?.target) checkMetricTarget(resource.target, at(path, 'target'), report);
  }
  checkRules(behavior?.scaleUp, 'spec.behavior.scaleUp', report);
  checkRules(behavior?.scaleDown, 'spec.behavior.scaleDown', report);
}

function checkTarget(target: HorizontalPodAutoscaler['spec']['scaleTargetRef'] | undefined, report: Report): void {
  if (!target) return;
  const { kind, apiVersion } = target;
  if (kind && !isScalableKind(kind)) {
    report('spec.scaleTargetRef.kind', `a ${kind} cannot be scaled; use ${scalableKinds.join(', ')}`);
  }
  if (apiVersion !== undefined && apiVersion !== 'apps/v1') {
    report(
      'spec.scaleTargetRef.apiVersion',
      `${JSON.stringify(apiVersion)} is not the apiVersion of a ${kind}; use apps/v1`,
    );
  }
}

function checkMetricTarget(
  { type, averageUtilization, averageValue }: MetricTarget,
  path: string,
  report: Report,
): void {
  if (averageUtilization !== undefined && averageValue !== undefined) {
    report(path, 'has averageUtilization and averageValue; keep the one that its type names');
    return;
  }
  if (type === 'Utilization') {
    if (averageUtilization === undefined) report(at(path, 'averageUtilization'), 'required with type Utilization');
    checkAtLeast(averageUtilization, 1, at(path, 'averageUtilization'), report);
  } else if (type === 'AverageValue') {
    if (averageValue === undefined) report(at(path, 'averageValue'), 'required with type AverageValue');
    else if ((parseQuantity(averageValue) ?? 1) <= 0) report(at(path, 'averageValue'), 'must be more than 0');
  }
}

function checkRules(rules: HPAScalingRules | undefined, path: string, report: Report): void {
  if (!rules) return;
  const { stabilizationWindowSeconds, policies, tolerance } = rules;
  checkRange(stabilizationWindowSeconds, 0, longestWindowSeconds, at(path, 'stabilizationWindowSeconds'), report);
  for (const [index, { value, periodSeconds }] of (policies ?? []).entries()) {
    const here = at(at(path, 'policies'), index);
    checkAtLeast(value, 1, at(here, 'value'), report);
    checkRange(periodSeconds, 1, longestPeriodSeconds, at(here, 'periodSeconds'), report);
  }
  if (tolerance !== undefined && (parseQuantity(tolerance) ?? 0) < 0) {
    report(at(path, 'tolerance'), 'must not be negative');
  }
}
