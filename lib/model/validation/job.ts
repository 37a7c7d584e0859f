/** Job. */
import type { Job, JobSpec, PodFailurePolicy, PodSpec } from '../../../proto/gen/types.ts';
import { sameValue } from '../equal.ts';
import { at, type Problem } from '../problems.ts';
import { checkAtLeast, checkLabels, checkRange, collect, type Report } from './checks.ts';
import { checkTemplateSpec } from './workloads.ts';

/** A Job's name is a label of its pods. */
const longestName = 63;
const mostIndexes = 100_000;
const mostRules = 20;

export function checkJob(object: Job, old: Job | undefined, problems: Problem[]): void {
  const report = collect(problems);
  const { name = '' } = object.metadata ?? {};
  if (name.length > longestName) {
    report('metadata.name', `has ${name.length} characters; at most ${longestName}, since it is a label of the pods`);
  }
  if (!object.spec) return;
  checkJobSpec(object.spec, 'spec', problems);
  const digits = String(Math.max(0, (object.spec.completions ?? 1) - 1)).length;
  if (object.spec.completionMode === 'Indexed' && name.length + 1 + digits > longestName) {
    report('metadata.name', `is too long for the pods' host names, ${name}-INDEX; at most ${longestName} characters`);
  }
  if (old) checkJobChange(old.spec, object.spec, report);
}

/** Also for the template of a CronJob's Jobs. */
export function checkJobSpec(spec: JobSpec, path: string, problems: Problem[]): void {
  const report = collect(problems);
  const numbers = ['parallelism', 'completions', 'backoffLimit', 'ttlSecondsAfterFinished'] as const;
  for (const field of numbers) checkAtLeast(spec[field], 0, at(path, field), report);
  checkAtLeast(spec.activeDeadlineSeconds, 1, at(path, 'activeDeadlineSeconds'), report);
  if (spec.completionMode === 'Indexed') {
    if (spec.completions === undefined) report(at(path, 'completions'), 'required with completionMode: Indexed');
    else checkRange(spec.completions, 0, mostIndexes, at(path, 'completions'), report);
  }
  const template = at(path, 'template');
  checkLabels(spec.template?.metadata?.labels, at(template, 'metadata.labels'), report);
  checkTemplateSpec(spec.template, template, problems);
  const { restartPolicy = 'Always' } = spec.template?.spec ?? {};
  if (restartPolicy === 'Always') {
    report(at(template, 'spec.restartPolicy'), 'must be OnFailure or Never: the pods of a Job come to an end');
  }
  if (spec.podFailurePolicy) {
    checkPolicy(spec.podFailurePolicy, spec.template?.spec, at(path, 'podFailurePolicy'), report);
    if (restartPolicy === 'OnFailure') {
      report(at(template, 'spec.restartPolicy'), 'must be Never with podFailurePolicy');
    }
  }
}

function checkPolicy({ rules = [] }: PodFailurePolicy, pod: PodSpec | undefined, path: string, report: Report): void {
  if (rules.length > mostRules) report(at(path, 'rules'), `at most ${mostRules} are allowed`);
  const containers = [...(pod?.containers ?? []), ...(pod?.initContainers ?? [])].map(({ name }) => name);
  for (const [index, { onExitCodes }] of rules.entries()) {
    const here = at(at(at(path, 'rules'), index), 'onExitCodes');
    const { containerName, operator, values = [] } = onExitCodes ?? {};
    if (containerName !== undefined && !containers.includes(containerName)) {
      const known = containers.join(', ');
      report(at(here, 'containerName'), `there is no container ${JSON.stringify(containerName)}; it may be ${known}`);
    }
    for (const [position, value] of values.entries()) {
      const there = at(at(here, 'values'), position);
      checkRange(value, 0, 255, there, report);
      if (value === 0 && operator === 'In') report(there, '0 is success, and no failure to have a rule for');
    }
  }
}

function checkJobChange(old: JobSpec, spec: JobSpec, report: Report): void {
  const never = 'never changes; delete the Job and create it again, or give it another name';
  for (const field of ['completionMode', 'podFailurePolicy', 'template'] as const) {
    if (!sameValue(old[field], spec[field])) report(at('spec', field), never);
  }
  if (old.completions === spec.completions) return;
  const elastic = spec.completionMode === 'Indexed' && spec.completions === spec.parallelism;
  if (!elastic) report('spec.completions', `${never} (of an Indexed Job it may change together with parallelism)`);
}
