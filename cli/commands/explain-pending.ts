/** `ctl explain-pending POD`: why a pod is on no node, node by node. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { ExplainPendingResponse } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { asText } from '../output/structured.ts';
import { renderTable } from '../output/table.ts';

interface ExplainPendingOptions {
  readonly output?: string;
}

export function registerExplainPending(program: Command, open: OpenContext): void {
  program
    .command('explain-pending <pod>')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (pod: string, _options, command: Command) => {
      const options = optionsOf<ExplainPendingOptions>(command);
      await explainPending(await open(options), pod, options);
    });
}

export async function explainPending(context: Context, pod: string, { output }: ExplainPendingOptions): Promise<void> {
  const name = pod.replace(/^(pods?|po)\//, '');
  if (name.includes('/')) throw new GantryError('invalidArgument', `${pod}: name a pod, such as web-abcde`);
  const response = await context.cluster.ExplainPending({ namespace: context.namespace, name });
  context.write(output === undefined ? pendingText(response) : asText(response, output));
}

/** Pure. */
export function pendingText({ nodes = [], summary = '' }: ExplainPendingResponse): string {
  const rows = nodes.map(({ nodeName = '', reason }) => [
    nodeName,
    reason === undefined ? 'fits' : 'does not fit',
    reason ?? '',
  ]);
  return `${summary}\n${rows.length > 0 ? `\n${renderTable(['NODE', 'VERDICT', 'REASON'], rows)}` : ''}`;
}
