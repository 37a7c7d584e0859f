/** `ctl patch`: a JSON merge patch (RFC 7396), given as JSON or YAML. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { GantryError, messageOf } from '../../lib/errors.ts';
import { fromEnvelope } from '../../lib/model/codec.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, printOne } from '../dry-run.ts';
import { forEach, objectOf, type SelectOptions, selectReferences } from '../selection.ts';

export interface PatchOptions extends SelectOptions {
  readonly patch?: string;
  readonly patchFile?: string;
  readonly type?: string;
  readonly dryRun?: string;
  readonly output?: string;
}

export function registerPatch(program: Command, open: OpenContext): void {
  program
    .command('patch [resource] [names...]')
    .option('-p, --patch <patch>', 'JSON or YAML; null removes a field')
    .option('--patch-file <file>', 'the patch in a file')
    .option('--type <type>', 'merge')
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('--dry-run <mode>', 'server: all but the write')
    .option('-o, --output <format>', 'json, yaml or name')
    .action(async (resource: string | undefined, names: string[], _options, command: Command) => {
      const options = optionsOf<PatchOptions>(command);
      await patch(await open(options), resource === undefined ? [] : [resource, ...names], options);
    });
}

export async function patch(context: Context, words: readonly string[], options: PatchOptions): Promise<void> {
  const text = patchText(options);
  const mode = dryRunMode(options.dryRun);
  if (mode === 'client') throw new GantryError('invalidArgument', 'not supported: --dry-run=client; use server');
  const references = await selectReferences(context, words, options);
  await forEach(context, references, async (reference) => {
    const { kind, namespace, name } = reference;
    const before = await objectOf(context, reference);
    const response = await context.cluster.Patch({ kind, namespace, name, patch: text, dryRun: mode === 'server' });
    const after = fromEnvelope(response.object) ?? before;
    const same = mode === undefined && after.metadata.resourceVersion === before.metadata.resourceVersion;
    await printOne(context, after, same ? 'patched (no change)' : 'patched', options);
  });
}

/** Pure but for --patch-file. As JSON. */
export function patchText({ patch: given, patchFile, type }: PatchOptions): string {
  if (type !== undefined && type !== 'merge') {
    throw new GantryError(
      'invalidArgument',
      `not supported: --type=${type}; use --type=merge, which replaces lists as a whole`,
    );
  }
  if ((given === undefined) === (patchFile === undefined)) {
    throw new GantryError('invalidArgument', 'give the patch with -p, or its file with --patch-file');
  }
  let value: unknown;
  try {
    value = parse(given ?? readFileSync(patchFile!, 'utf8'));
  } catch (error) {
    throw new GantryError('invalidArgument', `unable to parse the patch: ${messageOf(error).split('\n')[0]}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GantryError('invalidArgument', 'the patch must be an object, such as {"spec":{"replicas":3}}');
  }
  // kubectl's default would merge lists by key: better refused than done otherwise.
  if (type === undefined && hasList(value)) {
    throw new GantryError(
      'invalidArgument',
      'the patch has a list: say --type=merge to replace the list as a whole; to change one element use ctl apply or ctl set image',
    );
  }
  return JSON.stringify(value);
}

function hasList(value: unknown): boolean {
  if (Array.isArray(value)) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(hasList);
}
