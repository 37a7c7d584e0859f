/** Pod templates: which ReplicaSet belongs to a Deployment's template, and the name of one that has none yet. */
import { createHash } from 'node:crypto';
import { canonicalText, isSame } from '../../../lib/model/object.ts';
import type { PodTemplateSpec, ReplicaSet } from '../../../proto/gen/types.ts';

export const templateHashLabel = 'pod-template-hash';

/** Free of vowels and of characters that look alike, as all generated names are. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const hashLength = 10;

/** Ten characters that stand for the template; `collisions` gives another ten when they are taken by another template. */
export function templateHash(template: PodTemplateSpec, collisions: number): string {
  const digest = createHash('sha256')
    .update(`${canonicalText(withoutHash(template))}\0${collisions}`)
    .digest();
  return [...digest.subarray(0, hashLength)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

export function withHash(template: PodTemplateSpec, hash: string): PodTemplateSpec {
  const labels = { ...template.metadata?.labels, [templateHashLabel]: hash };
  return { ...template, metadata: { ...template.metadata, labels } };
}

export function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [templateHashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** The one made from this template, whenever that was: a template that comes back finds its ReplicaSet again. */
export function findByTemplate(replicaSets: readonly ReplicaSet[], template: PodTemplateSpec): ReplicaSet | undefined {
  const wanted = withoutHash(template);
  return replicaSets.find((replicaSet) => isSame(withoutHash(replicaSet.spec.template), wanted));
}

export function isSameTemplate(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  return isSame(withoutHash(a), withoutHash(b));
}
