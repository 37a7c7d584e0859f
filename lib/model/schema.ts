/** The object model's schema at run time: kinds by every name people use, and message types for the codec. */
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs/light.js';
import type { KindMap } from '../../proto/gen/types.ts';
import { GantryError } from '../errors.ts';
import { passKnownSpecs } from './pod-codec.ts';
import { passUnknown } from './unknown.ts';

export type Kind = keyof KindMap;

export interface KindInfo {
  readonly kind: Kind;
  readonly apiVersion: string;
  /** `pods`: in ctl and in store keys. */
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly clusterScoped: boolean;
  readonly type: protobuf.Type;
}

const schemaFile = new URL('../../proto/gen/schema.json', import.meta.url);

export const schemaRoot = protobuf.Root.fromJSON(JSON.parse(readFileSync(schemaFile, 'utf8')));
passUnknownBelow(schemaRoot);
passKnownSpecs(schemaRoot.lookupType('gantry.v1.PodSpec'));

function passUnknownBelow(namespace: protobuf.NamespaceBase): void {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) passUnknown(nested);
    if (nested instanceof protobuf.Namespace) passUnknownBelow(nested);
  }
}

/** A message type of package gantry.v1 by its short name. */
export function messageType(name: string): protobuf.Type {
  return schemaRoot.lookupType(`gantry.v1.${name}`);
}

export const kinds: readonly KindInfo[] = (schemaRoot.lookup('gantry.v1') as protobuf.Namespace).nestedArray
  .filter((nested) => nested instanceof protobuf.Type)
  .filter((type) => type.options?.['(plural)'] !== undefined)
  .map((type) => ({
    kind: type.name as Kind,
    apiVersion: type.options?.['(apiVersion)'],
    plural: type.options?.['(plural)'],
    shortNames: String(type.options?.['(shortNames)'] ?? '')
      .split(',')
      .filter(Boolean),
    clusterScoped: type.options?.['(clusterScoped)'] === true,
    type,
  }));

const byName = new Map<string, KindInfo>();
for (const info of kinds) {
  for (const name of [info.kind, info.plural, ...info.shortNames]) byName.set(name.toLowerCase(), info);
}

/** As they stand in objects and keys, which are looked up all the time. */
const asWritten = new Map(kinds.flatMap((info) => [info.kind, info.plural].map((name) => [name, info])));

/** By kind, plural, singular or short name, in any case: `Pod`, `pods`, `pod`, `po`. */
export function findKind(name: string): KindInfo | undefined {
  return asWritten.get(name) ?? byName.get(name.toLowerCase());
}

export function kindInfo(name: string): KindInfo {
  const info = findKind(name);
  if (info) return info;
  const known = kinds.map((entry) => entry.kind).join(', ');
  throw new GantryError('invalidArgument', `unknown kind "${name}"; Gantry has ${known}`);
}
