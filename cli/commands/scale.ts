/** `ctl scale`: how many replicas a Deployment, ReplicaSet or StatefulSet should have. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { printWarnings } from '../dry-run.ts';
import { qualifiedName } from '../resources.ts';
import { forEach, type SelectOptions, selectReferences } from '../selection.ts';

export interface ScaleOptions extends SelectOptions {
  readonly replicas: string;
  readonly currentReplicas?: string;
}

export function registerScale(program: Command, open: OpenContext): void {
  program
    .command('scale [resource] [names...]')
    .usage('--replicas=COUNT TYPE NAME | TYPE/NAME')
    .requiredOption('--replicas <count>', 'how many there should be')
    .option('--current-replicas <count>', 'only when there are this many now')
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('-R, --recursive', 'folders below as well')
    .option('-l, --selector <labels>', 'those with these labels')
    .option('--all', 'all of the kind in the namespace')
    .action(async (resource: string | undefined, names: string[], _options, command: Command) => {
      const options = optionsOf<ScaleOptions>(command);
      await scale(await open(options), resource === undefined ? [] : [resource, ...names], options);
    });
}

export async function scale(context: Context, words: readonly string[], options: ScaleOptions): Promise<void> {
  const replicas = countOf('--replicas', options.replicas);
  const current = options.currentReplicas;
  const currentReplicas =
    current === undefined || current === '-1' ? undefined : countOf('--current-replicas', current);
  const references = await selectReferences(context, words, options);
  if (references.length === 0) throw new GantryError('notFound', 'no objects passed to scale');
  await forEach(context, references, async ({ kind, namespace, name }) => {
    const response = await context.cluster.Scale({
      kind,
      namespace,
      name,
      replicas,
      ...(currentReplicas !== undefined && { currentReplicas }),
    });
    printWarnings(context, response);
    context.write(`${qualifiedName(kind, name)} scaled\n`);
  });
}

function countOf(flag: string, text: string): number {
  const count = Number(text);
  if (text.trim() !== '' && Number.isInteger(count) && count >= 0) return count;
  throw new GantryError('invalidArgument', `${flag}=${text}: give a whole number, 0 or more`);
}
