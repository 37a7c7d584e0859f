/** `ctl explain-pending [POD | TYPE/NAME]`: why a pod, or those of a workload, are on no node. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { kindsWithPods } from '../../lib/model/workloads.ts';
import type { ExplainPendingResponse } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { getObject, listObjects } from '../objects.ts';
import { asText } from '../output/structured.ts';
import { renderTable } from '../output/table.ts';
import { selectorText } from '../pod-choice.ts';
import { parseTargets } from '../resources.ts';

interface ExplainPendingOptions {
  readonly output?: string;
}

export function registerExplainPending(program: Command, open: OpenContext): void {
  program
    .command('explain-pending [pod]')
    .usage('[POD | TYPE/NAME]')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (pod: string | undefined, _options, command: Command) => {
      const options = optionsOf<ExplainPendingOptions>(command);
      await explainPending(await open(options), pod, options);
    });
}

/** Without a word: all pods of the namespace that wait. Of several each gets a line. */
export async function explainPending(
  context: Context,
  word: string | undefined,
  { output }: ExplainPendingOptions,
): Promise<void> {
  const names = await waitingPods(context, word);
  const answers: { readonly name: string; readonly response: ExplainPendingResponse }[] = [];
  for (const name of names) {
    const response = await context.cluster.ExplainPending({ namespace: context.namespace, name });
    answers.push({ name, response });
  }
  const [only] = answers;
  if (!only) return context.warn(`No pods${word === undefined ? '' : ` of ${word}`} wait for a node.`);
  if (answers.length > 1) {
    const items = answers.map(({ name, response }) => ({ name, ...response }));
    const lines = answers.map(({ name, response }) => `pod/${name}: ${response.summary ?? ''}\n`);
    context.write(output === undefined ? lines.join('') : asText({ items }, output));
  } else if (output !== undefined) {
    context.write(asText(only.response, output));
  } else {
    context.write(`${isNamed(word, only.name) ? '' : `pod/${only.name}: `}${pendingText(only.response)}`);
  }
}

const isNamed = (word: string | undefined, name: string): boolean => word?.split('/').at(-1) === name;

/** A pod that is named is asked about, whatever it does. */
async function waitingPods(context: Context, word: string | undefined): Promise<string[]> {
  const [target] = word === undefined ? [] : parseTargets(word.includes('/') ? [word] : ['pod', word]);
  if (target?.info.kind === 'Pod') return [target.name!];
  if (target && !kindsWithPods.includes(target.info.kind)) {
    const message = `a ${target.info.kind} has no pods; name a pod, or a workload such as deploy/NAME`;
    throw new GantryError('invalidArgument', message);
  }
  const selection = target ? { selector: selectorText(await getObject(context, target.info.kind, target.name!)) } : {};
  const pods = await listObjects(context, 'Pod', { ...selection, fieldSelector: 'status.phase=Pending' });
  return pods.filter(({ spec }) => spec.nodeName === undefined).map(({ metadata }) => metadata.name);
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
