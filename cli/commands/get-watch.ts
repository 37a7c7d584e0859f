/** `ctl get --watch`: what there is as one table, then a line for every change, until Ctrl-C. */
import { GantryError } from '../../lib/errors.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Context } from '../context.ts';
import { getObject } from '../objects.ts';
import { formatterOf } from '../output/formatted.ts';
import { objectTable } from '../output/objects.ts';
import { createTableWriter } from '../output/table.ts';
import type { Target } from '../resources.ts';
import { watchObjects } from '../watching.ts';
import { type GetOptions, tableOptions } from './get.ts';

export async function watch(context: Context, targets: readonly Target[], options: GetOptions): Promise<void> {
  const [target, ...others] = targets;
  if (!target || options.filename || others.some(({ info }) => info !== target.info)) {
    throw new GantryError('invalidArgument', 'watch one kind of resource at a time, and without -f');
  }
  const { kind } = target.info;
  const names = new Set(targets.flatMap(({ name }) => name ?? []));
  for (const name of names) await getObject(context, kind, name);
  if (options.sortBy !== undefined) {
    throw new GantryError('invalidArgument', '--sort-by and --watch cannot be given together');
  }
  const print = await printer(context, target, options);
  let existing: KubeObject[] | undefined = [];
  for await (const change of watchObjects(context, kind, options)) {
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

async function printer(
  context: Context,
  { info: { kind } }: Target,
  options: GetOptions,
): Promise<(objects: KubeObject[]) => void> {
  const format = await formatterOf(options.output, options.headers !== false);
  const separator = options.output === 'yaml' ? '---\n' : '';
  const base = { ...tableOptions(context, options), render: createTableWriter() };
  let { headers } = base;
  return (objects) => {
    if (objects.length === 0) return;
    if (format) {
      for (const object of objects) context.write(`${separator}${format([object], true)}`);
    } else {
      context.write(objectTable(kind, objects, { ...base, headers, nowMs: context.clock.nowMs() }));
      headers = false;
    }
  };
}
