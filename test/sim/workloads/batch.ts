/** Work that comes to an end, once or every minute. */
import { controllerOf, isControlledBy } from '../../../lib/model/object.ts';
import type { CronJob, Job, KubeObject } from '../../../proto/gen/types.ts';
import { pick, upTo, type Workload, workingPodSpec } from './workload.ts';

/** Well or badly: pods that faults have killed count against it. */
export const job: Workload = {
  kind: 'Job',
  weight: 1,
  make: (name, random, load) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: 'default' },
    spec: {
      completions: 1 + upTo(3, random),
      parallelism: Math.min(2, load),
      backoffLimit: 2,
      template: { spec: workingPodSpec(random) },
      ...(random.next() < 0.3 && { completionMode: 'Indexed' }),
      ...(random.next() < 0.3 && { ttlSecondsAfterFinished: 5 }),
    },
  }),
  change: (object, random, load) => {
    const { spec } = object as Job;
    return { ...object, spec: { ...spec, parallelism: upTo(Math.min(3, load), random) } } as Job;
  },
  // What a CronJob makes is counted there.
  load: (object) => (isOver(object as Job) || controllerOf(object) ? 0 : ((object as Job).spec.parallelism ?? 1)),
  problem(object) {
    if (isOutlived(object)) return 'it has ended, and its time to live is not over';
    return isOver(object as Job) || (object as Job).spec.parallelism === 0 ? undefined : 'it has not ended';
  },
};

const conditionIs = ({ status }: Job, type: string): boolean =>
  status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;
/** A clock that was ahead when it ended would keep it for as long. */
export function isOutlived(object: KubeObject): boolean {
  return object.kind === 'Job' && isOver(object) && object.spec.ttlSecondsAfterFinished !== undefined;
}

const isOver = (one: Job): boolean => conditionIs(one, 'Complete') || conditionIs(one, 'Failed');

/** Before a run comes to rest, somebody suspends them all. */
export const cronJob: Workload = {
  kind: 'CronJob',
  weight: 1,
  make: (name, random) => ({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name, namespace: 'default' },
    spec: {
      schedule: '* * * * *',
      concurrencyPolicy: pick(['Allow', 'Forbid', 'Replace'], random),
      successfulJobsHistoryLimit: upTo(2, random),
      failedJobsHistoryLimit: upTo(1, random),
      jobTemplate: { spec: { backoffLimit: 1, template: { spec: workingPodSpec(random) } } },
    },
  }),
  change: (object, random) => {
    const { spec } = object as CronJob;
    const changed = pick([{ suspend: spec.suspend !== true }, { successfulJobsHistoryLimit: upTo(2, random) }], random);
    return { ...object, spec: { ...spec, ...changed } } as CronJob;
  },
  load: () => 1,
  problem(object, view) {
    const { metadata, spec, status = {} } = object as CronJob;
    const jobs = view.list('Job').filter((one) => isControlledBy(one, object));
    const running = jobs.filter((one) => !isOver(one)).map((one) => one.metadata.name);
    const active = (status.active ?? []).map(({ name }) => name);
    if (active.join() !== running.sort().join())
      return `${active.join(', ')} are active instead of ${running.join(', ')}`;
    const { successfulJobsHistoryLimit: kept = 3, failedJobsHistoryLimit: keptFailed = 1 } = spec;
    const counts = [
      jobs.filter((one) => conditionIs(one, 'Complete')),
      jobs.filter((one) => conditionIs(one, 'Failed')),
    ];
    if (counts[0]!.length > kept || counts[1]!.length > keptFailed) return `${metadata.name} keeps too many Jobs`;
    return undefined;
  },
};
