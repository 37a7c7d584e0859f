import type { KubeObject } from '../../../proto/gen/types.ts';
import type { ReconcileResult } from '../../state/snapshot.ts';

/** Lets go of an object that is being deleted. */
export function withoutProtection(object: KubeObject, finalizer: string): ReconcileResult {
  const { finalizers = [] } = object.metadata;
  if (!finalizers.includes(finalizer)) return { changes: [] };
  const others = finalizers.filter((one) => one !== finalizer);
  const free = { ...object, metadata: { ...object.metadata, finalizers: others } } as KubeObject;
  return { changes: [{ type: others.length === 0 ? 'remove' : 'update', object: free }] };
}
