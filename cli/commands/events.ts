/** `ctl events`: what happened, in order. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { Event } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { listObjects, type Selection } from '../objects.ts';
import { byLastSeen, eventAge } from '../output/describe/events.ts';
import { nameLines, parseFormat } from '../output/objects.ts';
import { createTableWriter } from '../output/table.ts';
import { parseTargets } from '../resources.ts';
import { watchObjects } from '../watching.ts';

export interface EventsOptions {
  readonly allNamespaces?: boolean;
  readonly for?: string;
  readonly types?: string;
  readonly watch?: boolean;
  readonly headers?: boolean;
  readonly output?: string;
}

export function registerEvents(program: Command, open: OpenContext): void {
  program
    .command('events')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--for <object>', 'only about this one: pod/web, deploy/web, node/node-1')
    .option('--types <types>', 'Normal, Warning')
    .option('-w, --watch', 'then everything that happens')
    .option('--no-headers', 'without the header line')
    .option('-o, --output <format>', 'json, yaml or name')
    .action(async (_options, command: Command) => {
      const options = optionsOf<EventsOptions>(command);
      await events(await open(options), options);
    });
}

export async function events(context: Context, options: EventsOptions): Promise<void> {
  const selection = selectionOf(options);
  const types = options.types?.split(',').map((type) => type.toLowerCase());
  const isWanted = ({ type = 'Normal' }: Event): boolean => types === undefined || types.includes(type.toLowerCase());
  const print = await printer(context, options);
  if (options.watch) return follow(context, selection, isWanted, print);
  const found = (await listObjects(context, 'Event', selection)).filter(isWanted).sort(byLastSeen);
  if (found.length > 0 || options.output !== undefined) return print(found);
  context.warn(options.allNamespaces ? 'No events found.' : `No events found in ${context.namespace} namespace.`);
}

/** Events about a cluster-scoped object are in the namespace "default". */
function selectionOf(options: EventsOptions): Selection {
  if (options.for === undefined) return { allNamespaces: options.allNamespaces === true };
  const [target, ...more] = parseTargets([options.for]);
  if (!target?.name || more.length > 0) {
    throw new GantryError('invalidArgument', `--for=${options.for}: write TYPE/NAME, such as pod/web`);
  }
  const { info, name } = target;
  const fieldSelector = `involvedObject.kind=${info.kind},involvedObject.name=${name}`;
  return { fieldSelector, allNamespaces: options.allNamespaces === true || info.clusterScoped };
}

type Print = (found: readonly Event[]) => void;

async function follow(
  context: Context,
  selection: Selection,
  isWanted: (event: Event) => boolean,
  print: Print,
): Promise<void> {
  let before: Event[] | undefined = [];
  for await (const change of watchObjects(context, 'Event', selection)) {
    if (change.type === 'BOOKMARK') {
      if (before && before.length > 0) print(before.sort(byLastSeen));
      before = undefined;
    } else if (change.type !== 'DELETED' && isWanted(change.object as Event)) {
      if (before) before.push(change.object as Event);
      else print([change.object as Event]);
    }
  }
  context.signal.throwIfAborted();
}

async function printer(context: Context, options: EventsOptions): Promise<Print> {
  const format = parseFormat(options.output);
  if (format === 'json' || format === 'yaml') {
    const { structuredText } = await import('../output/structured.ts');
    return (found) => context.write(structuredText(found, format, options.watch === true));
  }
  if (format === 'name') return (found) => context.write(nameLines(found));
  const render = createTableWriter();
  let headers = options.headers !== false;
  return (found) => {
    const { header, rows } = eventTable(found, context.clock.nowMs(), options.allNamespaces === true);
    context.write(render(headers ? header : undefined, rows));
    headers = false;
  };
}

function eventTable(
  found: readonly Event[],
  nowMs: number,
  withNamespace: boolean,
): { readonly header: string[]; readonly rows: string[][] } {
  const rows = found.map((event) => [
    ...(withNamespace ? [event.metadata.namespace ?? ''] : []),
    eventAge(event, nowMs),
    event.type ?? 'Normal',
    event.reason ?? '',
    `${event.involvedObject.kind ?? ''}/${event.involvedObject.name ?? ''}`,
    (event.message ?? '').trim().replaceAll('\n', ' '),
  ]);
  const header = [...(withNamespace ? ['NAMESPACE'] : []), 'LAST SEEN', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE'];
  return { header, rows };
}
