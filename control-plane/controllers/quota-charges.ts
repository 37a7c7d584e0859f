/** What creations cost the quotas of their namespaces, as changes for the same transaction. Pure. */
import { limitProblems, limitSentence } from '../../lib/model/limit-range.ts';
import { Allowance, forbidden } from '../../lib/model/quota.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Change, Snapshot } from '../state/snapshot.ts';

export type Charged =
  | { readonly changes: readonly Change[] }
  /** A policy is against one of them, so that none can be made; as Kubernetes words it. */
  | { readonly refusal: string };

/**
 * Each creation also holds its namespace to what it was: a new quota rewrites that, and so does the namespace's end, so
 * that nothing is made by a decision that knew of neither.
 */
export function withQuotaCharges(snapshot: Snapshot, changes: readonly Change[], nowMs: number): Charged {
  const created = changes.filter(({ type }) => type === 'create').map(({ object }) => object);
  if (created.length === 0) return { changes };
  const namespaces = new Set(created.flatMap(({ metadata }) => metadata.namespace ?? []));
  const held = [...namespaces].flatMap((name) => snapshot.get('Namespace', undefined, name) ?? []);
  const holds = held.map((object): Change => ({ type: 'unchanged', object }));
  for (const object of created) {
    // Pods are within theirs, or would not be here.
    if (object.kind !== 'PersistentVolumeClaim') continue;
    const problems = limitProblems(object, snapshot.list('LimitRange', object.metadata.namespace));
    if (problems.length > 0) return { refusal: forbidden(object, limitSentence(problems)) };
  }
  if (snapshot.list('ResourceQuota').length === 0) return { changes: [...changes, ...holds] };
  const allowances = new Map([...namespaces].map((name) => [name, allowanceOf(snapshot, name, nowMs)]));
  for (const object of created) {
    const refused = allowances.get(object.metadata.namespace ?? '')?.take(object);
    if (refused) return { refusal: refused.message };
  }
  const charged = [...allowances.values()].flatMap((allowance) => allowance.charged());
  const charges = charged.map((object: KubeObject): Change => ({ type: 'update', object }));
  return { changes: [...changes, ...charges, ...holds] };
}

function allowanceOf(snapshot: Snapshot, namespace: string, nowMs: number): Allowance {
  const quotas = snapshot.list('ResourceQuota', namespace);
  return new Allowance(quotas, (kind) => snapshot.list(kind, namespace), nowMs);
}
