/** --dry-run, and what a command prints about an object that it wrote or would write. */
import { GantryError } from '../lib/errors.ts';
import { toEnvelope } from '../lib/model/codec.ts';
import type { KubeObject } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { objectOr } from './objects.ts';
import { nameLines, parseFormat } from './output/objects.ts';
import { qualifiedName } from './resources.ts';

export type DryRun = 'client' | 'server' | undefined;

export function dryRunMode(text: string | undefined): DryRun {
  if (text === undefined || text === 'none') return undefined;
  if (text === 'client' || text === 'server') return text;
  throw new GantryError('invalidArgument', `--dry-run=${text}: use client, server or none`);
}

/** ` (dry run)`, after the sentence. */
export function dryRunSuffix(mode: DryRun): string {
  return mode ? ` (${mode === 'server' ? 'server ' : ''}dry run)` : '';
}

export interface PrintOptions {
  readonly output?: string;
  readonly dryRun?: string;
}

export async function printOne(
  context: Context,
  object: KubeObject,
  what: string,
  { output, dryRun }: PrintOptions,
): Promise<void> {
  const format = parseFormat(output);
  if (format === 'json' || format === 'yaml') {
    const { structuredText } = await import('./output/structured.ts');
    context.write(structuredText([object], format, true));
  } else if (format === 'name') context.write(nameLines([object]));
  else {
    const suffix = dryRunSuffix(dryRunMode(dryRun));
    context.write(`${qualifiedName(object.kind, object.metadata.name)} ${what}${suffix}\n`);
  }
}

/** What the API has to say beside the object that was written. */
export function printWarnings(context: Context, { warnings = [] }: { readonly warnings?: readonly string[] }): void {
  for (const warning of warnings) context.warn(`Warning: ${warning}`);
}

/** For the commands that make an object of their flags. */
export async function createOne(
  context: Context,
  object: KubeObject,
  what: string,
  options: PrintOptions,
): Promise<void> {
  parseFormat(options.output);
  const mode = dryRunMode(options.dryRun);
  if (mode === 'client') return printOne(context, object, what, options);
  const response = await context.cluster.Create({ object: toEnvelope(object), dryRun: mode === 'server' });
  printWarnings(context, response);
  await printOne(context, objectOr(response.object, object), what, options);
}
