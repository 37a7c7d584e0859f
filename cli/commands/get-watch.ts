/** `ctl get --watch`: what there is as one table, then a line for every change, until Ctrl-C. */
import { GantryError } from '../../lib/errors.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Context } from '../context.ts';
import { getObject } from '../objects.ts';
import { nameLines, objectTable, parseFormat } from '../output/objects.ts';
import { structuredText } from '../output/structured.ts';
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
  const print = printer(context, target, options);
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

function printer(context: Context, { info: { kind } }: Target, options: GetOptions): (objects: KubeObject[]) => void {
  const format = parseFormat(options.output);
  const base = { ...tableOptions(context, options, format === 'wide'), render: createTableWriter() };
  let { headers } = base;
  return (objects) => {
    if (objects.length === 0) return;
    if (format === 'json' || format === 'yaml') {
      const separator = format === 'yaml' ? '---\n' : '';
      for (const object of objects) context.write(`${separator}${structuredText([object], format, true)}`);
    } else if (format === 'name') context.write(nameLines(objects));
    else {
      context.write(objectTable(kind, objects, { ...base, headers, nowMs: context.clock.nowMs() }));
      headers = false;
    }
  };
}
