/** What creations cost the quotas of their namespaces, as changes for the same transaction. Pure. */
import { Allowance } from '../../lib/model/quota.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Change, Snapshot } from '../state/snapshot.ts';

export type Charged =
  | { readonly changes: readonly Change[] }
  /** A quota has no room for one of them, so that none can be made; as Kubernetes words it. */
  | { readonly refusal: string };

/** Without quotas in the cluster: the same changes, at no cost. */
export function withQuotaCharges(snapshot: Snapshot, changes: readonly Change[], nowMs: number): Charged {
  if (snapshot.list('ResourceQuota').length === 0) return { changes };
  const allowances = new Map<string, Allowance>();
  for (const { type, object } of changes) {
    const { namespace } = object.metadata;
    if (type !== 'create' || namespace === undefined) continue;
    const allowance = allowances.get(namespace) ?? allowanceOf(snapshot, namespace, nowMs);
    allowances.set(namespace, allowance);
    const refused = allowance.take(object);
    if (refused) return { refusal: refused.message };
  }
  const charged = [...allowances.values()].flatMap((allowance) => allowance.charged());
  return { changes: [...changes, ...charged.map((object: KubeObject): Change => ({ type: 'update', object }))] };
}

function allowanceOf(snapshot: Snapshot, namespace: string, nowMs: number): Allowance {
  const quotas = snapshot.list('ResourceQuota', namespace);
  return new Allowance(quotas, (kind) => snapshot.list(kind, namespace), nowMs);
}
