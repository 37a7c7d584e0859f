/** How much of what is wished for fits into one transaction. Pure. */
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { encodeObject } from '../../lib/model/codec.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { Change } from '../state/snapshot.ts';

/** An etcd that is not ours takes 1.5 MB a request; the rest is for the owner and the keys. */
const largestBatchBytes = 1024 * 1024;

/** The first of the changes, with at most so many operations; at least one change. The next turn goes on. */
export function batchOf(changes: readonly Change[], mostOperations: number): readonly Change[] {
  let operations = 0;
  let bytes = 0;
  const sizes = new Map<KubeObject, number>();
  const sizeOf = (object: KubeObject): number => {
    const size = sizes.get(object) ?? encodeObject(object).length;
    sizes.set(object, size);
    return size;
  };
  const end = changes.findIndex((change, index) => {
    operations += operationsOf(change);
    bytes += change.type === 'remove' ? 0 : sizeOf(change.object);
    return index > 0 && (operations > mostOperations || bytes > largestBatchBytes);
  });
  return end < 0 ? changes : changes.slice(0, end);
}

/** How many objects like this one may be created together; at least one. */
export function mostAlike(object: KubeObject, mostOperations: number): number {
  return Math.max(1, Math.min(mostOperations, Math.floor(largestBatchBytes / encodeObject(object).length)));
}

/** A removal gives back addresses and ports too. */
function operationsOf({ type, object }: Change): number {
  return type === 'create' || type === 'update' ? 1 : 1 + allocationKeysOf(object).length;
}
