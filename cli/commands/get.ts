/** `ctl get`: lists, in kubectl's words. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { findObject, getObject, listObjects } from '../objects.ts';
import { serviceNameOf } from '../output/columns.ts';
import { byLastSeen } from '../output/describe/events.ts';
import { formatterOf, sortedBy } from '../output/formatted.ts';
import { objectTable, type TableOptions } from '../output/objects.ts';
import { parseTargets, type Target } from '../resources.ts';
import { forEach, type SelectOptions, selectReferences } from '../selection.ts';

export interface GetOptions extends SelectOptions {
  readonly output?: string;
  readonly watch?: boolean;
  readonly watchOnly?: boolean;
  readonly headers?: boolean;
  readonly showLabels?: boolean;
  readonly labelColumns?: readonly string[];
  readonly sortBy?: string;
  readonly ignoreNotFound?: boolean;
}

export function registerGet(program: Command, open: OpenContext): void {
  program
    .command('get [resource] [names...]')
    .usage('TYPE [NAME...] | TYPE/NAME... | -f FILE')
    .option('-o, --output <format>', 'wide, json, yaml, name, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,...')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('-l, --selector <labels>', 'only with these labels: app=web,tier in (a,b)')
    .option('--field-selector <fields>', 'only with these fields: spec.nodeName=node-1,status.phase=Running')
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('-R, --recursive', 'folders below as well')
    .option('-w, --watch', 'show what is there, then every change')
    .option('--watch-only', 'show every change')
    .option('--no-headers', 'without the header line')
    .option('--show-labels', 'with a column of labels')
    .option('-L, --label-columns <labels>', 'with a column for each of these labels', commaSeparated)
    .option('--sort-by <path>', 'by what this JSONPath finds: .metadata.creationTimestamp')
    .option('--ignore-not-found', 'absence is no error')
    .action(async (resource: string | undefined, names: string[], _options, command: Command) => {
      const options = optionsOf<GetOptions>(command);
      await get(await open(options), resource === undefined ? [] : [resource, ...names], options);
    });
}

export async function get(context: Context, words: readonly string[], options: GetOptions): Promise<void> {
  const format = await formatterOf(options.output, options.headers !== false);
  if (options.watch || options.watchOnly) {
    const { watch } = await import('./get-watch.ts');
    return watch(context, parseTargets(words), options);
  }
  const wanted = options.filename ? await fromManifests(context, words, options) : parseTargets(words).map(named);
  const { groups, failed } = await fetchAll(context, wanted, options);
  if (options.sortBy !== undefined) {
    for (const group of groups) group.objects = await sortedBy(options.sortBy, group.objects);
  }
  const objects = groups.flatMap((group) => group.objects);
  const byName = wanted.some(({ name }) => name !== undefined);
  if (failed && objects.length === 0) return;
  if (format) {
    context.write(format(objects, byName && wanted.length === 1));
  } else if (objects.length > 0) {
    printTables(context, groups, options);
  } else if (!byName) {
    context.warn(nothingFound(context, wanted, options));
  }
}

const commaSeparated = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(','),
];

interface Wanted {
  readonly kind: Kind;
  readonly clusterScoped: boolean;
  /** Undefined: all of the kind. */
  readonly name?: string;
  /** Undefined: the context's. */
  readonly namespace?: string;
}

function named({ info: { kind, clusterScoped }, name }: Target): Wanted {
  return { kind, clusterScoped, ...(name !== undefined && { name }) };
}

async function fromManifests(context: Context, words: readonly string[], options: GetOptions): Promise<Wanted[]> {
  const references = await selectReferences(context, words, options);
  return references.map(({ kind, namespace, name }) => ({ kind, clusterScoped: namespace === '', namespace, name }));
}

interface Group {
  readonly kind: Kind;
  objects: KubeObject[];
}

async function fetchAll(
  context: Context,
  wanted: readonly Wanted[],
  options: GetOptions,
): Promise<{ groups: Group[]; failed: boolean }> {
  const groups: Group[] = [];
  let done = 0;
  await forEach(context, wanted, async (one) => {
    const objects = one.name === undefined ? await list(context, one, options) : await byName(context, one, options);
    const group = groups.find(({ kind }) => kind === one.kind);
    if (group) group.objects.push(...objects);
    else groups.push({ kind: one.kind, objects: [...objects] });
    done += 1;
  });
  return { groups, failed: done < wanted.length };
}

async function byName(context: Context, { kind, name, namespace }: Wanted, options: GetOptions): Promise<KubeObject[]> {
  if (options.selector || options.fieldSelector) {
    throw new GantryError('invalidArgument', 'a name and a selector cannot be given together');
  }
  if (options.allNamespaces) {
    throw new GantryError(
      'invalidArgument',
      'a resource cannot be retrieved by name across all namespaces; leave out -A',
    );
  }
  const found = await findObject(context, kind, name!, namespace);
  if (found) return [found];
  // `get endpoints` shows slices under the name of their service.
  const slices = kind === 'EndpointSlice' ? await listObjects(context, kind) : [];
  const ofService = slices.filter((slice) => serviceNameOf(slice) === name);
  if (ofService.length > 0 || options.ignoreNotFound) return ofService;
  return [await getObject(context, kind, name!, namespace)];
}

async function list(context: Context, { kind }: Wanted, options: GetOptions): Promise<KubeObject[]> {
  if (kind === 'Event') return (await listObjects(context, kind, options)).sort(byLastSeen);
  return listObjects(context, kind, options);
}

export function tableOptions(context: Context, options: GetOptions): TableOptions {
  return {
    wide: options.output === 'wide',
    headers: options.headers !== false,
    showNamespace: options.allNamespaces === true,
    showLabels: options.showLabels === true,
    labelColumns: options.labelColumns ?? [],
    showKind: false,
    nowMs: context.clock.nowMs(),
  };
}

function printTables(context: Context, groups: readonly Group[], options: GetOptions): void {
  const shown = groups.filter(({ objects }) => objects.length > 0);
  const base = { ...tableOptions(context, options), showKind: groups.length > 1 };
  const tables = shown.map(({ kind, objects }) => objectTable(kind, objects, base));
  context.write(tables.join('\n'));
}

function nothingFound(context: Context, wanted: readonly Wanted[], options: GetOptions): string {
  const everywhere = options.allNamespaces || wanted.every(({ clusterScoped }) => clusterScoped);
  return everywhere ? 'No resources found' : `No resources found in ${context.namespace} namespace.`;
}
