/** `ctl control-plane`: the replicas of the control plane. */
import type { Command } from 'commander';
import type { ControlPlaneInfo } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { asText } from '../output/structured.ts';
import { renderTable } from '../output/table.ts';

/** etcd lets its members settle for some seconds between two changes. */
const removalMs = 60_000;

export function registerControlPlane(program: Command, open: OpenContext): void {
  const controlPlane = program.command('control-plane');
  controlPlane
    .command('list')
    .description('show the replicas, who leads, and their etcd members')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (_options, command: Command) => {
      const options = optionsOf<{ output?: string }>(command);
      await listControlPlanes(await open(options), options.output);
    });
  controlPlane
    .command('remove <name>')
    .description('take a replica away for good, and its etcd member; refused when too few others are alive')
    .action(async (name: string, _options, command: Command) => {
      const context = await open(optionsOf(command));
      const { warnings = [] } = await context.cluster.RemoveControlPlane({ name }, { deadlineMs: removalMs });
      context.write(`control-plane/${name} removed\n`);
      for (const warning of warnings) context.warn(warning);
    });
}

async function listControlPlanes(context: Context, output: string | undefined): Promise<void> {
  const { controlPlanes = [] } = await context.cluster.ListControlPlanes({});
  if (output !== undefined) return context.write(asText({ items: controlPlanes }, output));
  context.write(renderTable(['NAME', 'STATUS', 'LEADER', 'ETCD', 'ADDRESS'], controlPlanes.map(row)));
}

/** Pure. */
function row({ name, address, leader, ready, etcd }: ControlPlaneInfo): string[] {
  return [name, ready ? 'Ready' : 'NotReady', leader ? 'yes' : 'no', etcd ?? '<none>', address ?? '<unknown>'];
}
