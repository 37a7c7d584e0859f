/** `ctl cluster-info`: where the control plane is, who leads, and the cluster's address ranges. */
import type { Command } from 'commander';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { alignTabs } from '../output/align.ts';
import { asText } from '../output/structured.ts';

interface ClusterInfoOptions {
  readonly output?: string;
}

export function registerClusterInfo(program: Command, open: OpenContext): void {
  program
    .command('cluster-info')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (_options, command: Command) => {
      const options = optionsOf<ClusterInfoOptions>(command);
      await clusterInfo(await open(options), options);
    });
}

export async function clusterInfo(context: Context, { output }: ClusterInfoOptions): Promise<void> {
  const info = await context.cluster.GetClusterInfo({});
  if (output !== undefined) return context.write(asText(info, output));
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Leader', info.leader ?? '<none>'],
    ['Version', info.version],
    ['Etcd Version', info.etcdVersion],
    ['Pod Addresses', info.clusterCIDR],
    ['Service Addresses', info.serviceCIDR],
    ['DNS Zone', info.zone],
    ['Default Scheduler', info.defaultScheduler],
  ];
  context.write(`Gantry control plane is running at ${context.servers.join(', ')}\n`);
  context.write(`Gantry DNS is running at ${info.dnsIP}:53\n\n`);
  const known = rows.flatMap(([name, value]) => (value ? [`${name}:\t${value}`] : []));
  context.write(alignTabs(known));
}
