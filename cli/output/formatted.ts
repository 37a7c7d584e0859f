/** Objects as -o asks for them, where that is no table of ours. Libraries are loaded for the format that needs them. */
import { GantryError } from '../../lib/errors.ts';
import { toManifest } from '../../lib/model/manifest.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { nameLines, parseFormat } from './objects.ts';
import { renderTable } from './table.ts';

/** `single`: one object was asked for by name, and stands for itself rather than for a List of one. */
export type Formatter = (objects: readonly KubeObject[], single: boolean) => string;

/** Undefined: a table. */
export async function formatterOf(output: string | undefined, headers: boolean): Promise<Formatter | undefined> {
  const [, name, argument] = /^(jsonpath|custom-columns)=(.*)$/s.exec(output ?? '') ?? [];
  if (name === 'jsonpath') return jsonPath(argument!);
  if (name === 'custom-columns') return customColumns(argument!, headers);
  const format = parseFormat(output);
  if (format === 'name') return nameLines;
  if (format !== 'json' && format !== 'yaml') return undefined;
  const { structuredText } = await import('./structured.ts');
  return (objects, single) => structuredText(objects, format, single);
}

async function jsonPath(template: string): Promise<Formatter> {
  const { parseTemplate } = await import('./json-path.ts');
  const render = parseTemplate(template);
  return (objects, single) => {
    const manifests = objects.map(toManifest);
    return render(single && manifests.length === 1 ? manifests[0] : { kind: 'List', items: manifests });
  };
}

/** `NAME:.metadata.name,IP:.status.podIP`; the header belongs to the first table only. */
async function customColumns(text: string, headers: boolean): Promise<Formatter> {
  const { parsePath, valueText } = await import('./json-path.ts');
  const columns = text.split(/,(?![^[]*\])/).map((column) => {
    const [header = '', ...path] = column.split(':');
    if (header === '' || path.length === 0) {
      throw new GantryError(
        'invalidArgument',
        `custom column "${column}" is not HEADER:PATH; write for example NAME:.metadata.name,IP:.status.podIP`,
      );
    }
    return { header, path: parsePath(path.join(':')) };
  });
  let header = headers ? columns.map((column) => column.header) : undefined;
  return (objects) => {
    const rows = objects
      .map(toManifest)
      .map((manifest) => columns.map(({ path }) => path(manifest, manifest).map(valueText).join(',') || '<none>'));
    const table = renderTable(header, rows);
    header = undefined;
    return table;
  };
}

/** Objects by what `path` finds in each: numbers by value, text as people count (web-2 before web-10), absence first. */
export async function sortedBy(path: string, objects: readonly KubeObject[]): Promise<KubeObject[]> {
  const { parsePath, valueText } = await import('./json-path.ts');
  const find = parsePath(path);
  const keyed = objects.map((object) => {
    const manifest = toManifest(object);
    return { object, key: find(manifest, manifest)[0] };
  });
  if (objects.length > 0 && keyed.every(({ key }) => key === undefined)) {
    throw new GantryError('invalidArgument', `--sort-by=${path}: none of the objects has such a field`);
  }
  const { compare } = new Intl.Collator('en', { numeric: true });
  const text = (key: unknown) => (key === undefined ? '' : valueText(key));
  return keyed.sort((a, b) => compare(text(a.key), text(b.key))).map(({ object }) => object);
}
