/** `ctl top pods | nodes`: what they use now. */
import { type Command, Option } from 'commander';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { listObjects } from '../objects.ts';
import { type NodeTopOptions, nodeTable, type PodTopOptions, podTable } from '../output/top.ts';

interface CommonOptions {
  readonly selector?: string;
  readonly sortBy?: 'cpu' | 'memory';
  readonly headers?: boolean;
}

export interface TopPodOptions extends CommonOptions, PodTopOptions {
  readonly allNamespaces?: boolean;
}

export interface TopNodeOptions extends CommonOptions, NodeTopOptions {}

export function registerTop(program: Command, open: OpenContext): void {
  const top = program.command('top');
  common(top.command('pod [name]').aliases(['pods', 'po']).description('what the containers of pods use'))
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--containers', 'each container for itself')
    .option('--sum', 'with a line for all of them together')
    .action(async (name: string | undefined, _options, command: Command) => {
      const options = optionsOf<TopPodOptions>(command);
      await topPods(await open(options), name, options);
    });
  common(top.command('node [name]').aliases(['nodes', 'no']).description('what runs on nodes uses'))
    .option('--show-capacity', 'in relation to all that the node has, not to what it gives to pods')
    .action(async (name: string | undefined, _options, command: Command) => {
      const options = optionsOf<TopNodeOptions>(command);
      await topNodes(await open(options), name, options);
    });
}

function common(command: Command): Command {
  return command
    .option('-l, --selector <labels>', 'only with these labels: app=web,tier in (a,b)')
    .addOption(new Option('--sort-by <field>', 'cpu or memory').choices(['cpu', 'memory']))
    .option('--no-headers', 'without the header line');
}

export async function topPods(context: Context, name: string | undefined, options: TopPodOptions): Promise<void> {
  const { items = [], warnings = [] } = await context.cluster.GetPodStats({
    namespace: options.allNamespaces && name === undefined ? '' : context.namespace,
    ...(name !== undefined && { name: name.replace(/^(pods?|po)\//, '') }),
    ...(options.selector !== undefined && { labelSelector: options.selector }),
  });
  for (const warning of warnings) context.warn(`Warning: ${warning}`);
  if (items.length > 0) context.write(podTable(items, { ...options, showNamespace: options.allNamespaces === true }));
  else if (warnings.length === 0) {
    context.warn(
      options.allNamespaces ? 'No resources found' : `No resources found in ${context.namespace} namespace.`,
    );
  }
}

export async function topNodes(context: Context, name: string | undefined, options: TopNodeOptions): Promise<void> {
  const [{ items = [], warnings = [] }, nodes] = await Promise.all([
    context.cluster.GetNodeStats({
      ...(name !== undefined && { name: name.replace(/^(nodes?|no)\//, '') }),
      ...(options.selector !== undefined && { labelSelector: options.selector }),
    }),
    listObjects(context, 'Node'),
  ]);
  for (const warning of warnings) context.warn(`Warning: ${warning}`);
  if (items.length > 0) context.write(nodeTable(items, nodes, options));
  else context.warn('No resources found');
}
