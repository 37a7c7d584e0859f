/** `ctl simulate`: what the scheduler would do if a node died or manifests were applied. Changes nothing. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { toEnvelope } from '../../lib/model/codec.ts';
import { kindInfo } from '../../lib/model/schema.ts';
import type { KubeObject, SimulateResponse } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { parseSources, readSources } from '../manifests.ts';
import { asText } from '../output/structured.ts';
import { renderTable } from '../output/table.ts';

interface SimulateOptions {
  readonly kill?: string[];
  readonly apply?: string[];
  readonly output?: string;
}

export function registerSimulate(program: Command, open: OpenContext): void {
  program
    .command('simulate')
    .option('--kill <node...>', 'if these nodes were gone')
    .option('--apply <file...>', 'if these manifests were applied')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (_options, command: Command) => {
      const options = optionsOf<SimulateOptions>(command);
      await simulate(await open(options), options);
    });
}

export async function simulate(context: Context, { kill = [], apply = [], output }: SimulateOptions): Promise<void> {
  if (kill.length + apply.length === 0) {
    throw new GantryError('invalidArgument', 'say what would happen: --kill NODE, --apply FILE, or both');
  }
  const objects = apply.length > 0 ? parseSources(await readSources(apply, false, context.readInput)) : [];
  const killNodes = kill.map((name) => name.replace(/^(nodes?|no)\//, ''));
  const response = await context.cluster.Simulate({
    killNodes,
    objects: objects.map((object) => toEnvelope(inNamespace(object, context.namespace))),
  });
  context.write(output === undefined ? simulationText(response) : asText(response, output));
}

function inNamespace(object: KubeObject, namespace: string): KubeObject {
  if (kindInfo(object.kind).clusterScoped || object.metadata.namespace) return object;
  return { ...object, metadata: { ...object.metadata, namespace } } as KubeObject;
}

/** Pure. */
export function simulationText({ pods = [], summary = '' }: SimulateResponse): string {
  const rows = pods.map(({ namespace = '', name = '', workload = '<none>', from = '', to = '', reason = '' }) => [
    namespace,
    name,
    workload,
    from || '<none>',
    to || '<none>',
    reason,
  ]);
  const table = rows.length > 0 ? renderTable(['NAMESPACE', 'POD', 'WORKLOAD', 'FROM', 'TO', 'WHY'], rows) : '';
  return `${table}${table && '\n'}${summary}\n`;
}
