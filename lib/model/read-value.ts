/**
 * A Kubernetes-JSON value read against a message type: converted where the schema says so, with every mismatch noted by
 * path. Empty lists and maps are read as absent, which is what protobuf makes of them.
 */
import type protobuf from 'protobufjs/light.js';
import { formatProblem, isBase64 } from './formats.ts';
import { at, atKey, type Problem, unsupportedProblem } from './problems.ts';
import { suggest } from './suggest.ts';
import { unsupportedField, unsupportedValue } from './unsupported.ts';

type Plain = Record<string, unknown>;

export function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value is, in words: `the string "three"`, `a list`. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string')
    return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)}`;
  return `the ${typeof value} ${String(value)}`;
}

export function formatOf(field: protobuf.Field): string | undefined {
  return field.options?.['(format)'];
}

/** `skip` names fields of this message that are not looked at. */
export function readMessage(
  type: protobuf.Type,
  value: unknown,
  path: string,
  problems: Problem[],
  skip: readonly string[] = [],
): Plain {
  const result: Plain = {};
  if (!isPlain(value)) {
    problems.push({ path, message: `expected an object, got ${describeValue(value)}` });
    return result;
  }
  for (const [name, part] of Object.entries(value)) {
    if (skip.includes(name)) continue;
    const field = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
    if (!field) {
      checkUnknown(type, name, part, at(path, name), problems);
    } else if (part !== null && part !== undefined) {
      const read = readField(type, field, part, at(path, name), problems);
      if (read !== undefined) result[name] = read;
    }
  }
  for (const field of type.fieldsArray) {
    if (skip.includes(field.name) || field.options?.['(required)'] !== true) continue;
    const given = Object.hasOwn(value, field.name) ? value[field.name] : undefined;
    if (given === undefined || given === null || isEmptyCollection(given)) {
      problems.push({ path: at(path, field.name), message: requiredMessage(field) });
    }
  }
  return result;
}

function isEmptyCollection(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function requiredMessage(field: protobuf.Field): string {
  const values = field.options?.['(values)'] as string | undefined;
  return values === undefined ? 'required' : `required; one of ${values.split('|').join(', ')}`;
}

function checkUnknown(type: protobuf.Type, name: string, value: unknown, path: string, problems: Problem[]): void {
  const unsupported = unsupportedField(type.name, name);
  if (unsupported) {
    if (value === null || value === undefined || unsupported.harmless?.(value)) return;
    problems.push(unsupportedProblem(path, unsupported.reason, unsupported.cure));
    return;
  }
  const near = suggest(name, Object.keys(type.fields));
  const hint = near ? `did you mean ${near}?` : `it may have ${Object.keys(type.fields).join(', ')}`;
  problems.push({ path, message: `unknown field; ${hint}` });
}

function readField(
  type: protobuf.Type,
  field: protobuf.Field,
  value: unknown,
  path: string,
  problems: Problem[],
): unknown {
  if (field.map) return readMap(type, field, value, path, problems);
  if (!field.repeated) return readOne(type, field, value, path, problems);
  if (!Array.isArray(value)) {
    problems.push({ path, message: `expected a list, got ${describeValue(value)}` });
    return undefined;
  }
  const items = value.map((item, index) => readOne(type, field, item, at(path, index), problems));
  return items.length === 0 ? undefined : items;
}

function readMap(
  type: protobuf.Type,
  field: protobuf.Field,
  value: unknown,
  path: string,
  problems: Problem[],
): Plain | undefined {
  if (!isPlain(value)) {
    problems.push({ path, message: `expected an object of names and values, got ${describeValue(value)}` });
    return undefined;
  }
  const result: Plain = {};
  for (const [key, part] of Object.entries(value)) {
    // Assigning this name would set the prototype instead of an entry.
    if (key === '__proto__') problems.push({ path: atKey(path, key), message: 'this name is reserved; use another' });
    const read = part === null ? undefined : readOne(type, field, part, atKey(path, key), problems);
    if (read !== undefined && key !== '__proto__') result[key] = read;
  }
  return Object.keys(result).length === 0 ? undefined : result;
}

/** One value of the field's type; undefined when it has a problem. */
function readOne(
  type: protobuf.Type,
  field: protobuf.Field,
  value: unknown,
  path: string,
  problems: Problem[],
): unknown {
  field.resolve();
  if (field.resolvedType) return readMessage(field.resolvedType as protobuf.Type, value, path, problems);
  const result = readScalar(field, value);
  if ('problem' in result) {
    problems.push({ path, message: result.problem });
    return undefined;
  }
  const problem = typeof result.value === 'string' ? textProblem(type, field, result.value, path) : undefined;
  if (problem) problems.push(problem);
  return problem ? undefined : result.value;
}

type Scalar = { readonly value: unknown } | { readonly problem: string };

function readScalar(field: protobuf.Field, value: unknown): Scalar {
  switch (field.type) {
    case 'bool':
      return typeof value === 'boolean'
        ? { value }
        : { problem: `expected true or false, got ${describeValue(value)}` };
    case 'int32':
    case 'uint32':
    case 'int64':
      return readInteger(field.type, value);
    case 'bytes':
      return readBytes(value);
    default:
      return readText(field, value);
  }
}

const integerRanges: Readonly<Record<string, readonly [number, number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

function readInteger(type: string, value: unknown): Scalar {
  if (typeof value !== 'number') {
    const hint = typeof value === 'string' && /^-?\d+$/.test(value) ? '; remove the quotes' : '';
    return { problem: `expected a number, got ${describeValue(value)}${hint}` };
  }
  const [lowest, highest] = integerRanges[type]!;
  if (!Number.isInteger(value)) return { problem: `expected a whole number, got ${value}` };
  if (value < lowest || value > highest) return { problem: `${value} is out of range (${lowest} to ${highest})` };
  return { value };
}

function readBytes(value: unknown): Scalar {
  if (typeof value !== 'string') return { problem: `expected base64 text, got ${describeValue(value)}` };
  const text = value.replace(/\s+/g, '');
  return isBase64(text)
    ? { value: text }
    : { problem: 'not base64 text; encode the value with base64, or give it in the clear in stringData' };
}

function readText(field: protobuf.Field, value: unknown): Scalar {
  if (typeof value === 'string') return { value };
  const format = formatOf(field);
  if (typeof value === 'number' && Number.isFinite(value)) {
    if (format === 'quantity' || (format === 'int-or-string' && Number.isInteger(value)))
      return { value: String(value) };
    return { problem: `expected a string, got ${describeValue(value)}; put it in quotes` };
  }
  if (typeof value === 'boolean') {
    return { problem: `expected a string, got ${describeValue(value)}; put it in quotes` };
  }
  // YAML reads an unquoted date as a string under the core schema, but other readers make a Date of it.
  if (format === 'timestamp' && value instanceof Date) return { value: value.toISOString() };
  return { problem: `expected a string, got ${describeValue(value)}` };
}

function textProblem(type: protobuf.Type, field: protobuf.Field, text: string, path: string): Problem | undefined {
  const values = field.options?.['(values)'] as string | undefined;
  if (values !== undefined && !values.split('|').includes(text)) {
    const unsupported = unsupportedValue(type.name, field.name, text);
    if (unsupported) return unsupportedProblem(`${path}: ${text}`, unsupported.reason, unsupported.cure);
    const near = suggest(text, values.split('|'));
    const allowed = values.split('|').map((value) => value || '""');
    const hint = near ? `did you mean ${near}?` : `use one of ${allowed.join(', ')}`;
    return { path, message: `${JSON.stringify(text)} is not allowed; ${hint}` };
  }
  const format = formatOf(field);
  const message = format === undefined ? undefined : formatProblem(format, text);
  return message === undefined ? undefined : { path, message };
}
