/** `ctl cordon` and `ctl uncordon`: whether the scheduler puts new pods on a node. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { Node } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { getObject, listObjects } from '../objects.ts';
import { forEach } from '../selection.ts';

export interface CordonOptions {
  readonly selector?: string;
  readonly dryRun?: string;
}

export function registerCordon(program: Command, open: OpenContext): void {
  register(program, open, 'cordon', true);
}

export function registerUncordon(program: Command, open: OpenContext): void {
  register(program, open, 'uncordon', false);
}

function register(program: Command, open: OpenContext, name: string, unschedulable: boolean): void {
  program
    .command(`${name} [nodes...]`)
    .option('-l, --selector <labels>', 'nodes with these labels')
    .option('--dry-run <mode>', 'client or server: all but the write')
    .action(async (words: string[], _options, command: Command) => {
      const options = optionsOf<CordonOptions>(command);
      const context = await open(options);
      const nodes = await nodesOf(context, words, options.selector);
      await forEach(context, nodes, (node) => setUnschedulable(context, node, unschedulable, options.dryRun));
    });
}

/** `node-1`, `node/node-1`, or by label. */
export async function nodesOf(
  context: Context,
  words: readonly string[],
  selector: string | undefined,
): Promise<Node[]> {
  if (selector !== undefined) {
    if (words.length > 0)
      throw new GantryError('invalidArgument', 'cannot specify both a node name and a --selector option');
    return listObjects(context, 'Node', { selector });
  }
  const names = words.map((word) => word.replace(/^(nodes?|no)\//, ''));
  if (names.length === 0) throw new GantryError('invalidArgument', 'name the node; `ctl get nodes` lists them');
  return Promise.all(names.map((name) => getObject(context, 'Node', name)));
}

export async function setUnschedulable(
  context: Context,
  { metadata: { name }, spec }: Node,
  unschedulable: boolean,
  dryRun: string | undefined,
): Promise<void> {
  const mode = dryRunMode(dryRun);
  const done = unschedulable ? 'cordoned' : 'uncordoned';
  if ((spec.unschedulable === true) === unschedulable) return context.write(`node/${name} already ${done}\n`);
  const patch = JSON.stringify({ spec: { unschedulable: unschedulable ? true : null } });
  if (mode !== 'client') await context.cluster.Patch({ kind: 'Node', name, patch, dryRun: mode === 'server' });
  context.write(`node/${name} ${done}${dryRunSuffix(mode)}\n`);
}
