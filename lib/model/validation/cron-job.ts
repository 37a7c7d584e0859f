/** CronJob. */
import type { CronJob } from '../../../proto/gen/types.ts';
import { scheduleProblem, timeZoneProblem } from '../cron.ts';
import type { Problem } from '../problems.ts';
import { checkAtLeast, collect } from './checks.ts';
import { checkJobSpec } from './job.ts';

/** Its Jobs are named after it and the minute, and a Job's name is a label. */
const longestName = 52;

export function checkCronJob(object: CronJob, _old: CronJob | undefined, problems: Problem[]): void {
  const report = collect(problems);
  const { name = '' } = object.metadata ?? {};
  if (name.length > longestName) {
    report('metadata.name', `has ${name.length} characters; at most ${longestName}, since its Jobs are named after it`);
  }
  const { spec } = object;
  if (!spec) return;
  if (spec.schedule) report('spec.schedule', scheduleProblem(spec.schedule));
  if (spec.timeZone !== undefined) report('spec.timeZone', timeZoneProblem(spec.timeZone));
  checkAtLeast(spec.startingDeadlineSeconds, 0, 'spec.startingDeadlineSeconds', report);
  checkAtLeast(spec.successfulJobsHistoryLimit, 0, 'spec.successfulJobsHistoryLimit', report);
  checkAtLeast(spec.failedJobsHistoryLimit, 0, 'spec.failedJobsHistoryLimit', report);
  if (spec.jobTemplate?.spec) checkJobSpec(spec.jobTemplate.spec, 'spec.jobTemplate.spec', problems);
}
