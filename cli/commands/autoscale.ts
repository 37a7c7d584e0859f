/** `ctl autoscale`: a HorizontalPodAutoscaler for a Deployment, ReplicaSet or StatefulSet. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { requestWarning, type Scalable, scalableKinds } from '../../lib/model/autoscaling.ts';
import type { HorizontalPodAutoscaler, KubeObject, MetricSpec } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { createOne, dryRunMode, type PrintOptions, printWarnings } from '../dry-run.ts';
import { listObjects } from '../objects.ts';
import { objectOf, type SelectOptions, selectReferences } from '../selection.ts';

export interface AutoscaleOptions extends PrintOptions, Pick<SelectOptions, 'filename' | 'recursive'> {
  readonly min?: string;
  readonly max: string;
  readonly cpuPercent?: string;
  readonly cpu?: string;
  readonly memory?: string;
  readonly name?: string;
}

export function registerAutoscale(program: Command, open: OpenContext): void {
  program
    .command('autoscale [resource] [names...]')
    .usage('TYPE NAME | TYPE/NAME --max=COUNT [--min=COUNT] [--cpu-percent=PERCENT]')
    .requiredOption('--max <count>', 'never more replicas than this')
    .option('--min <count>', 'never fewer (default: 1)')
    .option('--cpu-percent <percent>', 'cpu that the pods should use, of what they request (default: 80)')
    .option('--cpu <target>', 'cpu that the pods should use: a part of what they request (70%), or an amount (500m)')
    .option('--memory <target>', 'memory that the pods should use: 70% or 500Mi')
    .option('--name <name>', 'the name of the autoscaler (default: that of the workload)')
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('-R, --recursive', 'folders below as well')
    .option('--dry-run <mode>', 'client or server: all but the write')
    .option('-o, --output <format>', 'json, yaml or name')
    .action(async (resource: string | undefined, names: string[], _options, command: Command) => {
      const options = optionsOf<AutoscaleOptions>(command);
      await autoscale(await open(options), resource === undefined ? [] : [resource, ...names], options);
    });
}

export async function autoscale(context: Context, words: readonly string[], options: AutoscaleOptions): Promise<void> {
  for (const reference of await selectReferences(context, words, options)) {
    const target = await objectOf(context, reference);
    const autoscaler = autoscalerFor(target, options);
    if (dryRunMode(options.dryRun) === 'client') await warnHere(context, autoscaler, target as Scalable);
    await createOne(context, autoscaler, 'autoscaled', options);
  }
}

/** What the API would say. */
async function warnHere(context: Context, autoscaler: HorizontalPodAutoscaler, target: Scalable): Promise<void> {
  const { namespace = 'default' } = autoscaler.metadata;
  const ranges = await listObjects(context, 'LimitRange', { namespace });
  const warning = requestWarning(autoscaler, target, ranges);
  printWarnings(context, warning === undefined ? {} : { warnings: [warning] });
}

/** Pure. */
export function autoscalerFor(target: KubeObject, options: AutoscaleOptions): HorizontalPodAutoscaler {
  const { kind, apiVersion, metadata } = target;
  if (!(scalableKinds as readonly string[]).includes(kind)) {
    throw new GantryError('invalidArgument', `a ${kind} cannot be scaled; name a ${scalableKinds.join(', a ')}`);
  }
  const { name, namespace = 'default' } = metadata;
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: options.name ?? name, namespace },
    spec: {
      scaleTargetRef: { apiVersion, kind, name },
      ...(options.min !== undefined && { minReplicas: countOf('--min', options.min) }),
      maxReplicas: countOf('--max', options.max),
      metrics: metricsOf(options),
    },
  };
}

function metricsOf({ cpuPercent, cpu, memory }: AutoscaleOptions): MetricSpec[] {
  if (cpuPercent !== undefined && cpu !== undefined) {
    throw new GantryError('invalidArgument', '--cpu-percent and --cpu say the same: give one of them');
  }
  const ofCPU = cpuPercent === undefined ? cpu : `${countOf('--cpu-percent', cpuPercent.replace(/%$/, ''))}%`;
  const metrics = [
    ...(ofCPU === undefined ? [] : [metric('cpu', ofCPU)]),
    ...(memory === undefined ? [] : [metric('memory', memory)]),
  ];
  return metrics.length > 0 ? metrics : [metric('cpu', '80%')];
}

function metric(name: 'cpu' | 'memory', target: string): MetricSpec {
  if (!target.endsWith('%')) {
    return { type: 'Resource', resource: { name, target: { type: 'AverageValue', averageValue: target } } };
  }
  const averageUtilization = countOf(`--${name}`, target.slice(0, -1));
  return { type: 'Resource', resource: { name, target: { type: 'Utilization', averageUtilization } } };
}

function countOf(flag: string, text: string): number {
  const count = Number(text);
  if (text.trim() !== '' && Number.isInteger(count) && count >= 1) return count;
  throw new GantryError('invalidArgument', `${flag}=${text}: give a whole number, 1 or more`);
}
