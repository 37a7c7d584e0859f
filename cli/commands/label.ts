/** `ctl label` and `ctl annotate`. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { isFieldsAnnotation } from '../../lib/model/apply.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { qualifiedName } from '../resources.ts';
import { forEach, objectOf, type SelectOptions, selectReferences } from '../selection.ts';

export interface LabelOptions extends SelectOptions {
  readonly overwrite?: boolean;
  readonly list?: boolean;
  readonly dryRun?: string;
}

interface Field {
  readonly name: 'labels' | 'annotations';
  readonly noun: 'label' | 'annotation';
  readonly done: 'labeled' | 'annotated';
  readonly undone: 'unlabeled' | 'annotated';
  readonly unchanged: 'not labeled' | 'annotated';
}

const labels: Field = {
  name: 'labels',
  noun: 'label',
  done: 'labeled',
  undone: 'unlabeled',
  unchanged: 'not labeled',
};
const annotations: Field = {
  name: 'annotations',
  noun: 'annotation',
  done: 'annotated',
  undone: 'annotated',
  unchanged: 'annotated',
};

export function registerLabel(program: Command, open: OpenContext): void {
  register(program, open, 'label', labels);
}

export function registerAnnotate(program: Command, open: OpenContext): void {
  register(program, open, 'annotate', annotations);
}

function register(program: Command, open: OpenContext, name: string, field: Field): void {
  program
    .command(`${name} [words...]`)
    .usage('TYPE NAME KEY=VALUE... KEY-...')
    .option('--overwrite', 'also replace values')
    .option('--list', `show the ${field.name}`)
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('-R, --recursive', 'folders below as well')
    .option('-l, --selector <labels>', 'those with these labels')
    .option('--all', 'all of the kind in the namespace')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--dry-run <mode>', 'client or server: all but the write')
    .action(async (words: string[], _options, command: Command) => {
      const options = optionsOf<LabelOptions>(command);
      await change(await open(options), words, options, field);
    });
}

/** Null: remove. */
export type Pairs = Readonly<Record<string, string | null>>;

/** Pure. `pod web app=x old-` in its two parts. */
export function splitPairs(words: readonly string[]): { resources: string[]; pairs: Pairs } {
  const isPair = (word: string): boolean => word.includes('=') || word.endsWith('-');
  const pairs: Record<string, string | null> = {};
  for (const word of words.filter(isPair)) {
    const at = word.indexOf('=');
    const key = at < 0 ? word.slice(0, -1) : word.slice(0, at);
    if (key === '') throw new GantryError('invalidArgument', `"${word}": write KEY=VALUE, or KEY- to remove it`);
    if (Object.hasOwn(pairs, key)) {
      throw new GantryError('invalidArgument', `"${key}" is given twice`);
    }
    pairs[key] = at < 0 ? null : word.slice(at + 1);
  }
  return { resources: words.filter((word) => !isPair(word)), pairs };
}

async function change(context: Context, words: readonly string[], options: LabelOptions, field: Field): Promise<void> {
  const { resources, pairs } = splitPairs(words);
  if (Object.keys(pairs).length === 0 && !options.list) {
    throw new GantryError('invalidArgument', `at least one ${field.noun} update is required: KEY=VALUE, or KEY-`);
  }
  const references = await selectReferences(context, resources, options);
  if (references.length === 0) return context.warn('No resources found');
  const mode = dryRunMode(options.dryRun);
  await forEach(context, references, async (reference) => {
    const object = await objectOf(context, reference);
    if (options.list) return list(context, object, field);
    checkConflicts(object, pairs, options.overwrite === true, field);
    tellMissing(context, object, pairs, field);
    const changed = changedPairs(object, pairs, field);
    if (changed.length > 0 && mode !== 'client') {
      const { kind, namespace, name } = reference;
      const patch = JSON.stringify({ metadata: { [field.name]: pairs } });
      await context.cluster.Patch({ kind, namespace, name, patch, dryRun: mode === 'server' });
    }
    context.write(`${qualifiedName(reference.kind, reference.name)} ${wordFor(changed, field)}${dryRunSuffix(mode)}\n`);
  });
}

function list(context: Context, { metadata }: KubeObject, { name }: Field): void {
  const entries = Object.entries(metadata[name] ?? {})
    .filter(([key]) => !isFieldsAnnotation(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of entries) context.write(`${key}=${value}\n`);
}

function checkConflicts({ metadata }: KubeObject, pairs: Pairs, overwrite: boolean, { name }: Field): void {
  const before = metadata[name] ?? {};
  const conflicts = Object.entries(pairs).filter(
    ([key, value]) => value !== null && before[key] !== undefined && before[key] !== value,
  );
  if (conflicts.length === 0 || overwrite) return;
  const values = conflicts.map(([key]) => `'${key}' already has a value (${before[key]})`).join('; ');
  throw new GantryError('failedPrecondition', `${values}, and --overwrite is false`);
}

function tellMissing(context: Context, { metadata }: KubeObject, pairs: Pairs, { name, noun }: Field): void {
  for (const [key, value] of Object.entries(pairs)) {
    if (value === null && metadata[name]?.[key] === undefined) context.write(`${noun} "${key}" not found.\n`);
  }
}

function changedPairs({ metadata }: KubeObject, pairs: Pairs, { name }: Field): [string, string | null][] {
  return Object.entries(pairs).filter(([key, value]) => (metadata[name]?.[key] ?? null) !== value);
}

function wordFor(changed: readonly [string, string | null][], { done, undone, unchanged }: Field): string {
  if (changed.length === 0) return unchanged;
  return changed.every(([, value]) => value === null) ? undone : done;
}
