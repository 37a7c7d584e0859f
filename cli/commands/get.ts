/** `ctl get`: lists and watches, in kubectl's words. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { findObject, getObject, listObjects } from '../objects.ts';
import { byLastSeen } from '../output/describe/events.ts';
import { nameLines, objectTable, parseFormat, structuredText, type TableOptions } from '../output/objects.ts';
import { createTableWriter } from '../output/table.ts';
import { parseTargets, type Target } from '../resources.ts';
import { watchObjects } from '../watching.ts';

export interface GetOptions {
  readonly output?: string;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly watch?: boolean;
  readonly watchOnly?: boolean;
  readonly headers?: boolean;
  readonly showLabels?: boolean;
  readonly ignoreNotFound?: boolean;
}

export function registerGet(program: Command, open: OpenContext): void {
  program
    .command('get <resource> [names...]')
    .option('-o, --output <format>', 'wide, json, yaml or name')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('-l, --selector <labels>', 'only with these labels: app=web,tier in (a,b)')
    .option('--field-selector <fields>', 'only with these fields: spec.nodeName=node-1,status.phase=Running')
    .option('-w, --watch', 'show what is there, then every change')
    .option('--watch-only', 'show every change')
    .option('--no-headers', 'without the header line')
    .option('--show-labels', 'with a column of labels')
    .option('--ignore-not-found', 'absence is no error')
    .action(async (resource: string, names: string[], _options, command: Command) => {
      const options = optionsOf<GetOptions>(command);
      await get(await open(options), [resource, ...names], options);
    });
}

export async function get(context: Context, words: readonly string[], options: GetOptions): Promise<void> {
  const targets = parseTargets(words);
  const format = parseFormat(options.output);
  if (options.watch || options.watchOnly) return watch(context, targets, options);
  const groups = await fetchAll(context, targets, options);
  const objects = groups.flatMap((group) => group.objects);
  if (format === 'json' || format === 'yaml') {
    const single = targets.length === 1 && targets[0]!.name !== undefined;
    context.write(structuredText(objects, format, single));
  } else if (format === 'name') {
    context.write(nameLines(objects));
  } else if (objects.length > 0) {
    printTables(context, groups, options, format === 'wide');
  } else if (!targets.some(({ name }) => name !== undefined)) {
    context.warn(nothingFound(context, targets, options));
  }
}

interface Group {
  readonly target: Target;
  objects: KubeObject[];
}

async function fetchAll(context: Context, targets: readonly Target[], options: GetOptions): Promise<Group[]> {
  const groups: Group[] = [];
  for (const target of targets) {
    const objects =
      target.name === undefined ? await list(context, target, options) : await one(context, target, options);
    const group = groups.find(({ target: { info } }) => info === target.info);
    if (group) group.objects.push(...objects);
    else groups.push({ target, objects: [...objects] });
  }
  return groups;
}

async function one(context: Context, { info, name }: Target, options: GetOptions): Promise<KubeObject[]> {
  if (options.selector || options.fieldSelector) {
    throw new GantryError('invalidArgument', 'a name and a selector cannot be given together');
  }
  if (options.allNamespaces) {
    throw new GantryError(
      'invalidArgument',
      'a resource cannot be retrieved by name across all namespaces; leave out -A',
    );
  }
  const object = options.ignoreNotFound
    ? await findObject(context, info.kind, name!)
    : await getObject(context, info.kind, name!);
  return object ? [object] : [];
}

async function list(context: Context, { info }: Target, options: GetOptions): Promise<KubeObject[]> {
  if (info.kind === 'Event') return (await listObjects(context, 'Event', options)).sort(byLastSeen);
  return listObjects(context, info.kind, options);
}

function tableOptions(context: Context, options: GetOptions, wide: boolean): TableOptions {
  return {
    wide,
    headers: options.headers !== false,
    showNamespace: options.allNamespaces === true,
    showLabels: options.showLabels === true,
    showKind: false,
    nowMs: context.clock.nowMs(),
  };
}

function printTables(context: Context, groups: readonly Group[], options: GetOptions, wide: boolean): void {
  const shown = groups.filter(({ objects }) => objects.length > 0);
  const base = { ...tableOptions(context, options, wide), showKind: groups.length > 1 };
  const tables = shown.map(({ target, objects }) => objectTable(target.info.kind, objects, base));
  context.write(tables.join('\n'));
}

function nothingFound(context: Context, targets: readonly Target[], options: GetOptions): string {
  const clusterScoped = targets.every(({ info }) => info.clusterScoped);
  return clusterScoped || options.allNamespaces
    ? 'No resources found'
    : `No resources found in ${context.namespace} namespace.`;
}

/** Until Ctrl-C. */
async function watch(context: Context, targets: readonly Target[], options: GetOptions): Promise<void> {
  const [target, ...others] = targets;
  if (!target || others.some(({ info }) => info !== target.info)) {
    throw new GantryError('invalidArgument', 'watch one kind of resource at a time');
  }
  const format = parseFormat(options.output);
  const names = new Set(targets.flatMap(({ name }) => name ?? []));
  const base = { ...tableOptions(context, options, format === 'wide'), render: createTableWriter() };
  let headers = base.headers;
  const print = (objects: readonly KubeObject[]): void => {
    if (format === 'json' || format === 'yaml') {
      for (const object of objects) {
        context.write(`${format === 'yaml' ? '---\n' : ''}${structuredText([object], format, true)}`);
      }
    } else if (format === 'name') context.write(nameLines(objects));
    else if (objects.length > 0) {
      const nowMs = context.clock.nowMs();
      context.write(objectTable(target.info.kind, objects, { ...base, headers, nowMs }));
      headers = false;
    }
  };
  let existing: KubeObject[] | undefined = [];
  for await (const change of watchObjects(context, target.info.kind, options)) {
    if (change.type === 'BOOKMARK') {
      if (!options.watchOnly) print(existing ?? []);
      existing = undefined;
    } else if (names.size === 0 || names.has(change.object.metadata.name)) {
      if (existing) existing.push(change.object);
      else print([change.object]);
    }
  }
  context.signal.throwIfAborted();
}
