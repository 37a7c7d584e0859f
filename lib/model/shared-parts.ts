/** What follows from parts of a pod's spec, found once for all pods that share them. */
import type { PodSpec } from '../../proto/gen/types.ts';

/**
 * Replicas share everything of their specs but the node's name (pod-codec.ts), and specs never change in place. One entry
 * for each template: a WeakMap with one for each of very many pods makes every collection of the whole heap slow.
 */
export function fromSharedParts<T>(
  parts: readonly (keyof PodSpec)[],
  find: (spec: PodSpec) => T,
): (spec: PodSpec) => T {
  const known = new WeakMap<PodSpec['containers'], { readonly spec: PodSpec; readonly value: T }>();
  return (spec) => {
    const last = known.get(spec.containers);
    if (last && areSame(parts, spec, last.spec)) return last.value;
    const value = find(spec);
    known.set(spec.containers, { spec, value });
    return value;
  };
}

function areSame(parts: readonly (keyof PodSpec)[], one: PodSpec, other: PodSpec): boolean {
  for (const part of parts) if (one[part] !== other[part]) return false;
  return true;
}
