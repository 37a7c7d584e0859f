/**
 * Namespace deletion: deletes everything in a namespace that is being deleted, then the namespace itself.
 *
 * - Owners go before what they own, so that nothing is made anew in between.
 * - A namespace goes only when a picture taken after its marking shows nothing in it; the API refuses new objects in it.
 * - Writes: the namespace's `status`, and the deletions.
 */
import { setCondition } from '../../../lib/model/conditions.ts';
import { type Holder, holdersOf, holdersSentence } from '../../../lib/model/deletion-holders.ts';
import { isDeleting, isSame } from '../../../lib/model/object.ts';
import { type Kind, kinds } from '../../../lib/model/schema.ts';
import type { KubeObject, Namespace, Pod } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { batchOf } from '../batch.ts';

const ownersFirst: readonly Kind[] = [
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'CronJob',
  'Job',
  'Service',
  'Pod',
];
/** Said by the system about the rest, so they come last and hold nothing up. */
const last: Kind = 'Event';
const mostPerTransaction = 80;

export function reconcileNamespace(snapshot: Snapshot, namespace: Namespace, nowMs: number): ReconcileResult {
  if (!isDeleting(namespace)) return { changes: [] };
  const content = kindsInOrder().flatMap(
    (kind) => snapshot.list(kind, namespace.metadata.name) as readonly KubeObject[],
  );
  const pending = content.filter((object) => !isDeleting(object));
  if (pending.length > 0) {
    const deletions = pending.slice(0, mostPerTransaction).map((object): Change => ({ type: 'delete', object }));
    return { changes: [...batchOf(deletions, mostPerTransaction), ...report(namespace, content, nowMs)] };
  }
  if (content.length > 0) return { changes: report(namespace, content, nowMs) };
  if ((namespace.metadata.finalizers ?? []).length > 0) return { changes: [] };
  return { changes: [{ type: 'remove', object: namespace }] };
}

function kindsInOrder(): Kind[] {
  const namespaced = kinds.filter(({ clusterScoped }) => !clusterScoped).map(({ kind }) => kind);
  const rest = namespaced.filter((kind) => !ownersFirst.includes(kind) && kind !== last);
  return [...ownersFirst, ...rest, last];
}

function report(namespace: Namespace, content: readonly KubeObject[], nowMs: number): Change[] {
  const wanted = {
    type: 'NamespaceContentRemaining',
    status: 'True' as const,
    reason: 'SomeResourcesRemain',
    message: whatRemains(content),
  };
  const conditions = setCondition(namespace.status?.conditions, wanted, nowMs);
  const status = { ...namespace.status, phase: 'Terminating' as const, conditions };
  return isSame(status, namespace.status) ? [] : [{ type: 'update', object: { ...namespace, status } }];
}

/** Of pods it is said where they stop. */
function finalizersOf(object: KubeObject): Holder[] {
  if (object.kind === 'Pod') return [];
  return holdersOf(object, { dependentsOf: () => [], node: () => undefined }).filter(({ isStuck }) => isStuck);
}

function whatRemains(content: readonly KubeObject[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of content) if (kind !== last) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const parts = [...counts].map(([kind, count]) => `${count} ${kind}${count === 1 ? '' : 's'}`);
  const pods = content.filter((object): object is Pod => object.kind === 'Pod');
  const where = [...new Set(pods.map(({ spec }) => spec.nodeName).filter(Boolean))].sort();
  const nodes = where.length > 0 ? ` (pods are stopping on ${where.join(', ')})` : '';
  const stuck = holdersSentence(content.filter(isDeleting).flatMap(finalizersOf));
  return `${parts.join(', ') || 'Events'} left${nodes}${stuck === undefined ? '' : `; ${stuck}`}`;
}
