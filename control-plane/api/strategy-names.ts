/** That `spec.schedulerName` names a strategy of the scheduler's list: in a Pod, and in every template of one. Pure. */
import { at, type Problem } from '../../lib/model/problems.ts';
import { podTemplateOf } from '../../lib/model/workloads.ts';
import type { KubeObject, PodSpec } from '../../proto/gen/types.ts';
import { strategyNames } from '../scheduler/strategies.ts';

/** Stands for the cluster's default. */
const known = ['default-scheduler', ...strategyNames];

export function strategyProblems(object: KubeObject): Problem[] {
  const spec = podSpecIn(object);
  const { schedulerName } = spec ?? {};
  if (schedulerName === undefined || known.includes(schedulerName)) return [];
  const message = `${JSON.stringify(schedulerName)} is not a strategy; use one of ${known.join(', ')}`;
  return [{ path: at(pathOf(object), 'schedulerName'), message }];
}

function podSpecIn(object: KubeObject): PodSpec | undefined {
  if (object.kind === 'Pod') return object.spec;
  return hasWhole(object) ? podTemplateOf(object)?.spec : undefined;
}

/** A manifest that says too little is refused for that. */
function hasWhole(object: KubeObject): boolean {
  const { spec } = object as { spec?: { jobTemplate?: { spec?: object } } };
  return spec !== undefined && (object.kind !== 'CronJob' || spec.jobTemplate?.spec !== undefined);
}

function pathOf({ kind }: KubeObject): string {
  if (kind === 'Pod') return 'spec';
  return kind === 'CronJob' ? 'spec.jobTemplate.spec.template.spec' : 'spec.template.spec';
}
