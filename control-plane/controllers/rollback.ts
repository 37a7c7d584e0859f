/**
 * A former revision that runs though the workload's template, or the content that it names, is another. Pure.
 *
 * The spec is its author's, so what runs instead stands in `status.rollback`, with the hash of what is passed over: it
 * holds until template or content change. It begins when a rollout misses its deadline (deployment/reconcile.ts), or by
 * the annotation gantry.dev/undo-to, which is a request: it is answered by `status.rollback` and taken away.
 */
import { rollsOutWithConfiguration, undoAnnotation } from '../../lib/model/rollouts.ts';
import type { KubeObject, Rollback } from '../../proto/gen/types.ts';
import type { ReconcileResult } from '../state/snapshot.ts';

type Events = NonNullable<ReconcileResult['events']>;

export interface InForce<R> {
  readonly rollback?: Rollback;
  /** The revision that runs in place of the template's own. */
  readonly instead?: R;
  /** Somebody has asked for it, or for the template's own, in this very turn. */
  readonly isAsked?: boolean;
  readonly events: Events;
}

/** `hashNow`: of the template with its content. `own`: the revision that was made from it, if there is one. */
export function rollbackInForce<R extends KubeObject>(
  workload: KubeObject & { readonly status?: { readonly rollback?: Rollback } },
  hashNow: () => string,
  revisions: readonly R[],
  own: R | undefined,
): InForce<R> {
  const called = (name: string): R | undefined => revisions.find(({ metadata }) => metadata.name === name);
  const request = workload.metadata.annotations?.[undoAnnotation];
  if (request !== undefined) {
    const instead = called(request);
    if (instead && instead === own) return { isAsked: true, events: [] };
    if (instead) {
      const rollback = { passedOver: hashNow(), revision: request, reason: 'Undo' } as const;
      return { rollback, instead, isAsked: true, events: [] };
    }
    if (!rollsOutWithConfiguration(workload)) return { events: [] }; // its template is all there is to go back to
    const message = `Unable to go back to ${JSON.stringify(request)}: there is no such revision`;
    return { events: [{ type: 'Warning', reason: 'RollbackRevisionNotFound', message, about: workload }] };
  }
  const { rollback } = workload.status ?? {};
  if (!rollback || rollback.passedOver !== hashNow()) return { events: [] };
  const instead = called(rollback.revision);
  return instead ? { rollback, instead, events: [] } : { events: [] };
}

/** The request has been heard. */
export function withoutRequest<T extends KubeObject>(workload: T): T {
  const { [undoAnnotation]: request, ...annotations } = workload.metadata.annotations ?? {};
  return request === undefined ? workload : { ...workload, metadata: { ...workload.metadata, annotations } };
}
