/**
 * Sets of fields, as trees of names: who applied what. A message's and a map's entries are named by field and key, an
 * element of a keyed list by its merge key; everything else (scalars, other lists) is a leaf.
 */
import type protobuf from 'protobufjs/light.js';
import { sameValue } from './equal.ts';

export type FieldSet = { readonly [name: string]: FieldSet | 1 };
export type Plain = Record<string, unknown>;

/** What an element has when it leaves a part of its merge key out. */
const keyDefaults: Readonly<Record<string, string>> = { protocol: 'TCP' };

export function messageOf(field: protobuf.Field): protobuf.Type | undefined {
  field.resolve();
  return field.resolvedType ? (field.resolvedType as protobuf.Type) : undefined;
}

/** The names that tell elements apart; undefined for lists that are replaced as a whole. */
export function mergeKeyOf(field: protobuf.Field): readonly string[] | undefined {
  const names = field.repeated ? (field.options?.['(mergeKey)'] as string | undefined) : undefined;
  return names?.split(',');
}

export function elementKey(names: readonly string[], element: Plain): string {
  return names.map((name) => String(element[name] ?? keyDefaults[name] ?? '')).join(',');
}

/** Elements by key; undefined when two have the same, so that the list can only be taken as a whole. */
export function elementsByKey(names: readonly string[], list: readonly Plain[]): Map<string, Plain> | undefined {
  const elements = new Map(list.map((element) => [elementKey(names, element), element]));
  return elements.size === list.length ? elements : undefined;
}

export function fieldsOf(type: protobuf.Type, plain: Plain): FieldSet {
  const set: Record<string, FieldSet | 1> = {};
  for (const [name, value] of Object.entries(plain)) {
    const field = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
    if (field && value !== undefined) set[name] = fieldsOfValue(field, value);
  }
  return set;
}

function fieldsOfValue(field: protobuf.Field, value: unknown): FieldSet | 1 {
  if (field.map) return Object.fromEntries(Object.keys(value as Plain).map((key) => [key, 1 as const]));
  const message = messageOf(field);
  if (!message) return 1;
  if (!field.repeated) return fieldsOf(message, value as Plain);
  const names = mergeKeyOf(field);
  const elements = names && elementsByKey(names, value as Plain[]);
  if (!elements) return 1;
  return Object.fromEntries([...elements].map(([key, element]) => [key, fieldsOf(message, element)]));
}

export function unionOf(sets: readonly FieldSet[]): FieldSet {
  const union: Record<string, FieldSet | 1> = {};
  for (const set of sets) {
    for (const [name, part] of Object.entries(set)) {
      const before = union[name];
      union[name] = part === 1 || before === 1 || before === undefined ? part : unionOf([before, part]);
    }
  }
  return union;
}

/** The part of a set's entry for `name`; a leaf stands for everything below it. */
export function below(set: FieldSet | 1 | undefined, name: string): FieldSet | 1 | undefined {
  if (set === undefined || set === 1) return set;
  return Object.hasOwn(set, name) ? set[name] : undefined;
}

/**
 * The set without the leaves at which the objects differ: whoever changes a field owns it from then on.
 * Undefined when nothing of a set that had something is left.
 */
export function withoutChanged(
  type: protobuf.Type,
  set: FieldSet,
  before: Plain | undefined,
  after: Plain | undefined,
): FieldSet | undefined {
  const kept: Record<string, FieldSet | 1> = {};
  for (const [name, part] of Object.entries(set)) {
    const field = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
    const left = field && withoutChangedValue(field, part, before?.[name], after?.[name]);
    if (left !== undefined) kept[name] = left;
  }
  return Object.keys(kept).length === 0 && Object.keys(set).length > 0 ? undefined : kept;
}

function withoutChangedValue(
  field: protobuf.Field,
  part: FieldSet | 1,
  before: unknown,
  after: unknown,
): FieldSet | 1 | undefined {
  if (sameValue(before, after)) return part;
  if (part === 1 || before === undefined || after === undefined) return undefined;
  const message = messageOf(field);
  if (message && !field.repeated) return withoutChanged(message, part, before as Plain, after as Plain);
  const names = mergeKeyOf(field);
  const entriesOf = (value: unknown): Plain =>
    names ? Object.fromEntries(elementsByKey(names, value as Plain[]) ?? []) : (value as Plain);
  const [old, fresh] = [entriesOf(before), entriesOf(after)];
  const kept: Record<string, FieldSet | 1> = {};
  for (const [key, entry] of Object.entries(part)) {
    const left =
      message && entry !== 1
        ? withoutChanged(message, entry, old[key] as Plain | undefined, fresh[key] as Plain | undefined)
        : sameValue(old[key], fresh[key])
          ? entry
          : undefined;
    if (left !== undefined) kept[key] = left;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}
