/** Where objects live in the store: `/gantry/<plural>/<namespace>/<name>`; no namespace part for cluster-scoped kinds. */
import type { KubeObject } from '../../proto/gen/types.ts';
import { findKind, type Kind, kindInfo } from './schema.ts';

export const storeRoot = '/gantry/';

export function objectKey(kind: Kind, namespace: string | undefined, name: string): string {
  const info = kindInfo(kind);
  return info.clusterScoped
    ? `${storeRoot}${info.plural}/${name}`
    : `${storeRoot}${info.plural}/${namespace ?? 'default'}/${name}`;
}

export function keyOf(object: KubeObject): string {
  return objectKey(object.kind, object.metadata.namespace, object.metadata.name);
}

/** Prefix of all objects of a kind, or of those in one namespace. */
export function kindPrefix(kind: Kind, namespace?: string): string {
  const info = kindInfo(kind);
  return namespace && !info.clusterScoped ? `${storeRoot}${info.plural}/${namespace}/` : `${storeRoot}${info.plural}/`;
}

export interface ParsedKey {
  readonly kind: Kind;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

/** Undefined for keys under the root that are not objects (leader, tokens, allocations). */
export function parseKey(key: string): ParsedKey | undefined {
  if (!key.startsWith(storeRoot)) return undefined;
  const parts = key.slice(storeRoot.length).split('/');
  const info = findKind(parts[0] ?? '');
  if (!info || parts[0] !== info.plural) return undefined;
  if (info.clusterScoped && parts.length === 2) return { kind: info.kind, namespace: '', name: parts[1]! };
  if (!info.clusterScoped && parts.length === 3) return { kind: info.kind, namespace: parts[1]!, name: parts[2]! };
  return undefined;
}
