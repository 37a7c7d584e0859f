/** `ctl explain`: a kind's fields, their types and what may stand in them, from the schema. Pure. */
import type protobuf from 'protobufjs/light.js';
import { GantryError } from '../../lib/errors.ts';
import type { KindInfo } from '../../lib/model/schema.ts';
import { suggest } from '../../lib/model/suggest.ts';

/** The comment on a message (`Pod`) or field (`PodSpec.containers`); undefined when there is none. */
export type Comments = (name: string) => string | undefined;

export interface ExplainOptions {
  readonly recursive?: boolean;
}

export function explainText(
  info: KindInfo,
  path: readonly string[],
  comments: Comments,
  { recursive }: ExplainOptions,
): string {
  const [group, version] = info.apiVersion.includes('/') ? info.apiVersion.split('/') : ['', info.apiVersion];
  const head = [...(group ? [`GROUP:      ${group}`] : []), `KIND:       ${info.kind}`, `VERSION:    ${version}`, ''];
  const { type, field } = walk(info.type, path);
  const named = field ? [`FIELD: ${field.name} <${typeText(field)}>`, ...valuesLine(field, ''), ''] : [];
  const own = field?.parent ? comments(`${field.parent.name}.${field.name}`) : undefined;
  const description = own ?? (type && comments(type.name)) ?? '<empty>';
  const lines = [...head, ...named, 'DESCRIPTION:', ...wrapped(description, '    '), '    '];
  if (!type) return text(lines);
  const fields = recursive ? tree(type, '  ', []) : type.fieldsArray.flatMap((each) => fieldLines(each, comments));
  return text([...lines, 'FIELDS:', ...fields]);
}

function text(lines: readonly string[]): string {
  return `${lines
    .map((line) => line.trimEnd())
    .join('\n')
    .trimEnd()}\n\n`;
}

function walk(start: protobuf.Type, path: readonly string[]): { type?: protobuf.Type; field?: protobuf.Field } {
  let type: protobuf.Type | undefined = start;
  let field: protobuf.Field | undefined;
  for (const name of path) {
    const names: string[] = type ? Object.keys(type.fields) : [];
    if (!type || !Object.hasOwn(type.fields, name)) {
      const near = suggest(name, names);
      const hint = near
        ? `did you mean ${near}?`
        : names.length > 0
          ? `there is ${names.join(', ')}`
          : 'it has no fields';
      throw new GantryError('notFound', `field "${name}" does not exist; ${hint}`);
    }
    field = type.fields[name]!;
    type = messageOf(field);
  }
  return { ...(type && { type }), ...(field && { field }) };
}

function messageOf(field: protobuf.Field): protobuf.Type | undefined {
  field.resolve();
  return field.map ? undefined : ((field.resolvedType as protobuf.Type | null) ?? undefined);
}

const plainTypes: Readonly<Record<string, string>> = {
  int32: 'integer',
  int64: 'integer',
  bool: 'boolean',
  bytes: 'string',
  string: 'string',
};

function typeText(field: protobuf.Field): string {
  const format = field.options?.['(format)'] as string | undefined;
  const one =
    messageOf(field)?.name ??
    (format === 'int-or-string'
      ? 'IntOrString'
      : format === 'quantity'
        ? 'Quantity'
        : (plainTypes[field.type] ?? field.type));
  if (field.map) return `map[string]${one}`;
  return field.repeated ? `[]${one}` : one;
}

function fieldLines(field: protobuf.Field, comments: Comments): string[] {
  const required = field.options?.['(required)'] === true ? ' -required-' : '';
  const comment = comments(`${field.parent!.name}.${field.name}`);
  return [
    `  ${field.name}\t<${typeText(field)}>${required}`,
    ...valuesLine(field, '  '),
    ...(comment ? wrapped(comment, '    ') : []),
    '',
  ];
}

function valuesLine(field: protobuf.Field, indent: string): string[] {
  const values = field.options?.['(values)'] as string | undefined;
  if (values === undefined) return [];
  const words = values.split('|').map((value) => (value === '' ? '""' : value));
  return [`${indent}enum: ${words.join(', ')}`];
}

function tree(type: protobuf.Type, indent: string, above: readonly string[]): string[] {
  return type.fieldsArray.flatMap((field) => {
    const below = messageOf(field);
    const nested = below && !above.includes(below.name) ? tree(below, `${indent}  `, [...above, type.name]) : [];
    return [`${indent}${field.name}\t<${typeText(field)}>`, ...nested];
  });
}

const widthLimit = 80;

function wrapped(paragraph: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of paragraph.split(/\s+/)) {
    if (line !== indent && line.length + 1 + word.length > widthLimit) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line];
}
