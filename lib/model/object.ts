/** Facts about any object, from its metadata alone. */
import type { KubeObject, OwnerReference } from '../../proto/gen/types.ts';

/** The one owner that manages the object. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
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

export function isSame(a: unknown, b: unknown): boolean {
  return canonicalText(a) === canonicalText(b);
}
