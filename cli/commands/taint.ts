/** `ctl taint nodes`: keeps pods away from nodes, or drives them off. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { Node, Taint } from '../../proto/gen/types.ts';
import { changeObject } from '../changing.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { forEach } from '../selection.ts';
import { nodesOf } from './cordon.ts';

export interface TaintOptions {
  readonly selector?: string;
  readonly all?: boolean;
  readonly overwrite?: boolean;
  readonly dryRun?: string;
}

export function registerTaint(program: Command, open: OpenContext): void {
  program
    .command('taint <words...>')
    .usage('nodes NAME... KEY=VALUE:EFFECT... KEY[:EFFECT]-...')
    .option('-l, --selector <labels>', 'nodes with these labels')
    .option('--all', 'all nodes')
    .option('--overwrite', 'also replace values')
    .option('--dry-run <mode>', 'server: all but the write')
    .action(async (words: string[], _options, command: Command) => {
      const options = optionsOf<TaintOptions>(command);
      await taint(await open(options), words, options);
    });
}

export interface TaintChanges {
  readonly add: readonly Taint[];
  /** Without an effect: of every effect. */
  readonly remove: readonly { readonly key: string; readonly effect?: string }[];
}

export async function taint(context: Context, words: readonly string[], options: TaintOptions): Promise<void> {
  const [type = '', ...rest] = words;
  if (!/^(nodes?|no)$/.test(type))
    throw new GantryError('invalidArgument', 'only nodes have taints: ctl taint nodes NAME ...');
  const isTaint = (word: string): boolean => /[=:]/.test(word) || word.endsWith('-');
  const changes = parseTaints(rest.filter(isTaint));
  const names = rest.filter((word) => !isTaint(word));
  const selector = options.selector ?? (options.all ? '' : undefined);
  const nodes = await nodesOf(context, names, selector);
  await forEach(context, nodes, (node) => taintNode(context, node.metadata.name, changes, options));
}

export async function taintNode(
  context: Context,
  name: string,
  changes: TaintChanges,
  { overwrite = false, dryRun }: Pick<TaintOptions, 'overwrite' | 'dryRun'>,
): Promise<void> {
  const mode = dryRunMode(dryRun);
  if (mode === 'client') throw new GantryError('invalidArgument', 'not supported: --dry-run=client; use server');
  const target = { kind: 'Node', namespace: '', name } as const;
  const change = (node: Node): Node => ({
    ...node,
    spec: { ...node.spec, taints: withChanges(node, changes, overwrite) },
  });
  await changeObject(context, target, change, mode === 'server');
  const word = changes.add.length === 0 ? 'untainted' : changes.remove.length === 0 ? 'tainted' : 'modified';
  context.write(`node/${name} ${word}${dryRunSuffix(mode)}\n`);
}

/** Pure. */
export function parseTaints(words: readonly string[]): TaintChanges {
  if (words.length === 0) throw new GantryError('invalidArgument', 'at least one taint update is required');
  const add: Taint[] = [];
  const remove: { key: string; effect?: string }[] = [];
  for (const word of words) {
    const match = /^([^=:]+?)(?:=([^=:]*))?(?::(\w+))?(-)?$/.exec(word);
    const [, key = '', value, effect, minus] = match ?? [];
    const usage = `"${word}": write KEY=VALUE:EFFECT or KEY:EFFECT, and KEY[:EFFECT]- to remove it`;
    if (!match || (minus && value !== undefined) || (!minus && effect === undefined)) {
      throw new GantryError('invalidArgument', usage);
    }
    if (minus) remove.push({ key, ...(effect !== undefined && { effect }) });
    else add.push({ key, ...(value && { value }), effect: effect as Taint['effect'] });
  }
  return { add, remove };
}

function withChanges({ metadata, spec }: Node, { add, remove }: TaintChanges, overwrite: boolean): Taint[] {
  const before = spec.taints ?? [];
  const isSame = (taint: Taint, other: { key: string; effect?: string }): boolean =>
    taint.key === other.key && (other.effect === undefined || taint.effect === other.effect);
  const absent = remove.find((wanted) => !before.some((taint) => isSame(taint, wanted)));
  if (absent) {
    const name = absent.effect === undefined ? absent.key : `${absent.key}:${absent.effect}`;
    throw new GantryError('notFound', `taint "${name}" not found`);
  }
  const taken = add.find((wanted) => before.some((taint) => isSame(taint, wanted)));
  if (taken && !overwrite) {
    const what = `${taken.key} taint(s) with same effect(s)`;
    throw new GantryError('failedPrecondition', `node ${metadata.name} already has ${what} and --overwrite is false`);
  }
  const changed = [...remove, ...add];
  return [...before.filter((taint) => !changed.some((wanted) => isSame(taint, wanted))), ...add];
}
