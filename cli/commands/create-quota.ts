/** `ctl create quota NAME --hard=pods=10,requests.cpu=4`. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { ResourceQuota } from '../../proto/gen/types.ts';
import { type OpenContext, optionsOf } from '../context.ts';
import { createOne, type PrintOptions } from '../dry-run.ts';

interface QuotaOptions extends PrintOptions {
  readonly hard?: string;
  readonly scopes?: string;
}

export function registerCreateQuota(create: Command, open: OpenContext): void {
  create
    .command('quota <name>')
    .alias('resourcequota')
    .description('how much the namespace may hold altogether')
    .option('--hard <resource=amount,...>', 'the limits, such as pods=10,requests.cpu=4,count/jobs.batch=5')
    .option('--scopes <scopes>', 'only pods of these: Terminating, NotTerminating, BestEffort, NotBestEffort')
    .action(async (name: string, _options, command: Command) => {
      const options = optionsOf<QuotaOptions>(command);
      const context = await open(options);
      await createOne(context, quotaOf(name, context.namespace, options), 'created', options);
    });
}

export function quotaOf(name: string, namespace: string, { hard = '', scopes = '' }: QuotaOptions): ResourceQuota {
  const entries = parts(hard).map((part): [string, string] => {
    const at = part.indexOf('=');
    if (at > 0) return [part.slice(0, at), part.slice(at + 1)];
    throw new GantryError(
      'invalidArgument',
      `--hard: ${JSON.stringify(part)} is not RESOURCE=AMOUNT; example: pods=10`,
    );
  });
  const given = parts(scopes) as NonNullable<ResourceQuota['spec']['scopes']>;
  return {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name, namespace },
    spec: {
      ...(entries.length > 0 && { hard: Object.fromEntries(entries) }),
      ...(given.length > 0 && { scopes: given }),
    },
  };
}

function parts(text: string): string[] {
  return text.split(',').filter(Boolean);
}
