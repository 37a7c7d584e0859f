/**
 * Manifests to typed objects and back, driven by the schema. Pure; shared by ctl and the API.
 *
 * A manifest is a Kubernetes-JSON value (YAML or JSON already parsed). Nothing in it is dropped silently: what the
 * schema does not know is refused by path. `status` is the cluster's to write and is not read (as kubectl does), unless
 * asked for. Null means absent, and so do an empty list and an empty map.
 */
import type protobuf from 'protobufjs/light.js';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Problem, unsupportedProblem } from './problems.ts';
import { describeValue, formatOf, isPlain, readMessage } from './read-value.ts';
import { findKind, type KindInfo, kindInfo, kinds } from './schema.ts';
import { suggest } from './suggest.ts';
import { unsupportedKind } from './unsupported.ts';

export type { Problem } from './problems.ts';
export { problemLine } from './problems.ts';

export interface ManifestResult {
  /** Present exactly when there is no problem. */
  readonly object?: KubeObject;
  readonly problems: readonly Problem[];
}

export interface ManifestOptions {
  /** True: `status` is read and checked like the rest. Default false: it is left out. */
  readonly readStatus?: boolean;
}

export function fromManifest(value: unknown, options: ManifestOptions = {}): ManifestResult {
  const { partial, problems } = readManifest(value, options);
  return partial && problems.length === 0 ? { object: partial, problems } : { problems };
}

/** As `fromManifest`, with what could be read beside the problems; without a kind there is nothing to read. */
export function readManifest(
  value: unknown,
  options: ManifestOptions = {},
): { readonly partial?: KubeObject; readonly problems: readonly Problem[] } {
  if (!isPlain(value)) {
    const message = `expected an object with apiVersion, kind and metadata, got ${describeValue(value)}`;
    return { problems: [{ path: '', message }] };
  }
  const found = findManifestKind(value);
  if ('problems' in found) return found;
  const problems: Problem[] = [];
  const skip = options.readStatus ? [] : ['status'];
  const given = Array.isArray(value.metadata) || !isPlain(value.metadata) ? value : withoutNameRule(value);
  const object = readMessage(found.type, given, '', problems, skip) as unknown as KubeObject;
  restoreName(object, value);
  return { partial: object, problems };
}

/** generateName stands in for a name; the schema's "required" does not know that. */
function withoutNameRule(value: Record<string, unknown>): Record<string, unknown> {
  const metadata = value.metadata as Record<string, unknown>;
  const generated = typeof metadata.generateName === 'string' && metadata.generateName !== '';
  if (!generated || metadata.name) return value;
  return { ...value, metadata: { ...metadata, name: 'generated' } };
}

function restoreName(object: KubeObject, value: Record<string, unknown>): void {
  const metadata = value.metadata as Record<string, unknown> | undefined;
  if (metadata?.generateName && !metadata.name && object.metadata) object.metadata.name = '';
}

function findManifestKind(value: Record<string, unknown>): KindInfo | { readonly problems: readonly Problem[] } {
  const { apiVersion, kind } = value;
  if (typeof kind !== 'string' || kind === '') {
    const message =
      kind === undefined || kind === null || kind === '' ? 'required' : `expected a string, got ${describeValue(kind)}`;
    return { problems: [{ path: 'kind', message: `${message}; for example kind: Deployment` }] };
  }
  const info = findKind(kind);
  if (info?.kind !== kind) return { problems: [unknownKind(kind, info)] };
  if (apiVersion !== info.apiVersion) {
    const message =
      apiVersion === undefined || apiVersion === null
        ? `required; write apiVersion: ${info.apiVersion}`
        : `${kind} is in ${info.apiVersion}, not in ${typeof apiVersion === 'string' ? JSON.stringify(apiVersion) : describeValue(apiVersion)}; write apiVersion: ${info.apiVersion}`;
    return { problems: [{ path: 'apiVersion', message }] };
  }
  return info;
}

function unknownKind(kind: string, near: KindInfo | undefined): Problem {
  const unsupported = unsupportedKind(kind);
  if (unsupported) return unsupportedProblem(`kind ${kind}`, unsupported.reason, unsupported.cure);
  const names = kinds.map((info) => info.kind);
  const meant = near?.kind ?? suggest(kind, names);
  const hint = meant ? `did you mean ${meant}?` : `Gantry has ${names.join(', ')}`;
  return { path: 'kind', message: `unknown kind ${JSON.stringify(kind)}; ${hint}` };
}

/** Kubernetes JSON: fields in the schema's order, map entries by name, int-or-string numbers as numbers. */
export function toManifest(object: KubeObject): Record<string, unknown> {
  return writeMessage(kindInfo(object.kind).type, object as unknown as Record<string, unknown>);
}

function writeMessage(type: protobuf.Type, plain: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const value = plain[field.name];
    if (value === undefined || value === null) continue;
    if (field.map) result[field.name] = writeMap(field, value as Record<string, unknown>);
    else if (Array.isArray(value)) result[field.name] = value.map((item) => writeOne(field, item));
    else result[field.name] = writeOne(field, value);
  }
  return result;
}

function writeMap(field: protobuf.Field, value: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, part]) => [key, writeOne(field, part)]));
}

function writeOne(field: protobuf.Field, value: unknown): unknown {
  field.resolve();
  if (field.resolvedType) return writeMessage(field.resolvedType as protobuf.Type, value as Record<string, unknown>);
  const isNumber = formatOf(field) === 'int-or-string' && /^(0|[1-9]\d{0,9})$/.test(String(value));
  return isNumber ? Number(value) : value;
}
