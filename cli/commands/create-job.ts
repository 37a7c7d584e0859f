/** `ctl create job` and `ctl create cronjob`: of an image, or a CronJob's Job right now. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { controllerReference } from '../../lib/model/object.ts';
import type { CronJob, Job, JobSpec, PodSpec } from '../../proto/gen/types.ts';
import { type OpenContext, optionsOf } from '../context.ts';
import { createOne, type PrintOptions } from '../dry-run.ts';
import { getObject } from '../objects.ts';

interface JobOptions extends PrintOptions {
  readonly image?: string;
  readonly from?: string;
}

interface CronJobOptions extends PrintOptions {
  readonly image: string;
  readonly schedule: string;
  readonly restart?: string;
}

export function registerCreateJobs(create: Command, open: OpenContext): void {
  create
    .command('job <name> [command...]')
    .description('a job of an image, or from a cronjob; what follows -- is its command')
    .option('--image <image>', 'the image')
    .option('--from <cronjob/name>', 'as this cronjob would make it')
    .action(async (name: string, words: string[], _options, command: Command) => {
      const options = optionsOf<JobOptions>(command);
      const context = await open(options);
      const { image, from } = options;
      if ((image === undefined) === (from === undefined)) {
        throw new GantryError('invalidArgument', 'either --image or --from must be specified');
      }
      const job =
        from === undefined
          ? jobOf(name, context.namespace, jobSpec(name, image!, words, 'Never'))
          : jobFrom(name, await getObject(context, 'CronJob', cronJobName(from)));
      await createOne(context, job, 'created', options);
    });
  create
    .command('cronjob <name> [command...]')
    .alias('cj')
    .description('a cronjob of an image; what follows -- is its command')
    .requiredOption('--image <image>', 'the image')
    .requiredOption('--schedule <line>', 'when, such as "*/5 * * * *"')
    .option('--restart <policy>', 'OnFailure or Never', 'OnFailure')
    .action(async (name: string, words: string[], _options, command: Command) => {
      const options = optionsOf<CronJobOptions>(command);
      const context = await open(options);
      const { image, schedule, restart } = options;
      const spec = jobSpec(name, image, words, restart as NonNullable<PodSpec['restartPolicy']>);
      await createOne(context, cronJobOf(name, context.namespace, schedule, spec), 'created', options);
    });
}

function jobSpec(
  name: string,
  image: string,
  command: readonly string[],
  restartPolicy: NonNullable<PodSpec['restartPolicy']>,
): JobSpec {
  const container = { name, image, ...(command.length > 0 && { command: [...command] }) };
  return { template: { spec: { restartPolicy, containers: [container] } } };
}

function jobOf(name: string, namespace: string, spec: JobSpec): Job {
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name, namespace }, spec };
}

function cronJobOf(name: string, namespace: string, schedule: string, spec: JobSpec): CronJob {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name, namespace },
    spec: { schedule, jobTemplate: { spec } },
  };
}

function cronJobName(from: string): string {
  const match = /^(?:cronjobs?|cj)(?:\.batch)?\/([^/]+)$/.exec(from);
  if (match) return match[1]!;
  throw new GantryError('invalidArgument', `--from=${from}: name a cronjob, such as cronjob/backup`);
}

/** Pure. Its owner counts it among its own, as in Kubernetes. */
export function jobFrom(name: string, cronJob: CronJob): Job {
  const { metadata, spec } = cronJob.spec.jobTemplate;
  const job = jobOf(name, cronJob.metadata.namespace ?? 'default', spec);
  const annotations = { ...metadata?.annotations, 'cronjob.kubernetes.io/instantiate': 'manual' };
  const ownerReferences = [controllerReference(cronJob)];
  return {
    ...job,
    metadata: { ...job.metadata, ...(metadata?.labels && { labels: metadata.labels }), annotations, ownerReferences },
  };
}
