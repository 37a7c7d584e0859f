/**
 * `ctl node out-of-service | in-service`: a person's word that a lost machine is really down. Pods that must not run
 * twice are then replaced.
 */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { conditionStatus } from '../../lib/model/conditions.ts';
import { isOutOfService, outOfServiceTaint } from '../../lib/model/fencing.ts';
import type { Node } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { forEach } from '../selection.ts';
import { nodesOf } from './cordon.ts';
import { taintNode } from './taint.ts';

interface NodeOptions {
  readonly dryRun?: string;
}

export function registerNode(program: Command, open: OpenContext): void {
  const node = program.command('node');
  const add = (
    name: string,
    description: string,
    action: (context: Context, node: Node, options: NodeOptions) => Promise<void>,
  ): void => {
    node
      .command(`${name} <nodes...>`)
      .description(description)
      .option('--dry-run <mode>', 'server: all but the write')
      .action(async (words: string[], _options, command: Command) => {
        const options = optionsOf<NodeOptions>(command);
        const context = await open(options);
        const nodes = await nodesOf(context, words, undefined);
        await forEach(context, nodes, (each) => action(context, each, options));
      });
  };
  add('out-of-service', 'the machine is down for certain: replace all its pods', declare);
  add('in-service', 'it is back: take the declaration away', withdraw);
}

async function declare(context: Context, node: Node, options: NodeOptions): Promise<void> {
  const { name } = node.metadata;
  if (isOutOfService(node)) return context.write(`node/${name} is out of service already\n`);
  if (conditionStatus(node.status?.conditions, 'Ready') !== 'Unknown') {
    const message = `node ${name} is in session, so it is not down; move its pods with: ctl drain ${name}`;
    throw new GantryError('failedPrecondition', message);
  }
  const taint = { key: outOfServiceTaint, value: 'nodeshutdown', effect: 'NoExecute' as const };
  await taintNode(context, name, { add: [taint], remove: [] }, options);
}

async function withdraw(context: Context, node: Node, options: NodeOptions): Promise<void> {
  const { name } = node.metadata;
  if (!isOutOfService(node)) return context.write(`node/${name} is in service already\n`);
  await taintNode(context, name, { add: [], remove: [{ key: outOfServiceTaint }] }, options);
}
