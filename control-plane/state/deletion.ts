/** What deleting an object means for its kind: gone now, or marked and left to whoever must finish first. */
import { timestamp } from '../../lib/clock.ts';
import { isPodBound } from '../../lib/model/pods.ts';
import type { KubeObject } from '../../proto/gen/types.ts';

const defaultGraceSeconds = 30;

export type Deletion =
  | { readonly type: 'remove' }
  /** The object as it should be stored until its agent, finalizer or controller is done. */
  | { readonly type: 'mark'; readonly object: KubeObject }
  /** It is on its way already, no slower than wanted. */
  | { readonly type: 'none' };

/** The cluster's own finalizers, which end with the object. */
const ownFinalizers: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion']);

/** Somebody has to let go of it before it may be removed, by whomever. */
export function isHeld({ metadata }: KubeObject): boolean {
  return (metadata.finalizers ?? []).some((finalizer) => !ownFinalizers.has(finalizer));
}

export function deletionOf(object: KubeObject, gracePeriodSeconds: number | undefined, nowMs: number): Deletion {
  if (object.kind === 'Pod' && isPodBound(object) && gracePeriodSeconds !== 0) {
    const graceSeconds = gracePeriodSeconds ?? object.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds;
    return mark(object, graceSeconds, nowMs);
  }
  if ((object.metadata.finalizers ?? []).length > 0) return mark(object, 0, nowMs);
  if (object.kind === 'Namespace' && (object.spec?.finalizers ?? []).length > 0) {
    const marked = mark(object, 0, nowMs);
    if (marked.type !== 'mark') return marked;
    return {
      type: 'mark',
      object: { ...object, ...marked.object, status: { ...object.status, phase: 'Terminating' } } as KubeObject,
    };
  }
  return { type: 'remove' };
}

function mark(object: KubeObject, graceSeconds: number, nowMs: number): Deletion {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = object.metadata;
  if (deletionTimestamp !== undefined && deletionGracePeriodSeconds <= graceSeconds) return { type: 'none' };
  const metadata = {
    ...object.metadata,
    deletionTimestamp: deletionTimestamp ?? timestamp(nowMs),
    deletionGracePeriodSeconds: graceSeconds,
  };
  return { type: 'mark', object: { ...object, metadata } as KubeObject };
}
