/** Facts about any object, from its metadata alone. */
import type { KubeObject, OwnerReference } from '../../proto/gen/types.ts';

/** The one owner that manages the object. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  // Every controller asks it of every object that changes.
  for (const reference of object.metadata.ownerReferences ?? []) if (reference.controller === true) return reference;
  return undefined;
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** The reference that makes `owner` the controller of another object. */
export function controllerReference(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function isDeleting(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}

/** The key's mod revision that the object was read at; 0 when it was never stored. */
export function revisionOf(object: KubeObject): bigint {
  return BigInt(object.metadata.resourceVersion ?? '0');
}

/** The same text for equal data, whatever the order of fields; absent and empty maps and lists are the same. */
export function canonicalText(value: unknown): string {
  return JSON.stringify(canonical(value)) ?? 'null';
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => canonical(item) ?? null);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, member]) => [key, canonical(member)] as const)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  // A message without fields (emptyDir: {}) means something when it is there, so it stays.
  return Object.fromEntries(entries);
}

/** Whether `canonicalText` of both would be equal, without writing either. */
export function isSame(a: unknown, b: unknown): boolean {
  return isSamePresent(present(a) ?? null, present(b) ?? null);
}

function isSamePresent(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isSame(item, b[index]));
  }
  if (Array.isArray(b)) return false;
  for (const key in a) {
    const member = memberOf(a, key);
    if (member !== undefined && !isSamePresent(member, memberOf(b, key))) return false;
  }
  for (const key in b) if (memberOf(b, key) !== undefined && memberOf(a, key) === undefined) return false;
  return true;
}

/** Own members only: a label may be called "constructor". */
function memberOf(object: object, key: string): unknown {
  return Object.hasOwn(object, key) ? present((object as Record<string, unknown>)[key]) : undefined;
}

function present(value: unknown): unknown {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}
