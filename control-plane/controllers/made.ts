/** When objects were made, by the clock of whoever led then. */
import type { KubeObject } from '../../proto/gen/types.ts';

/**
 * Long ago, when that clock ran ahead and says that it will be: waits that are counted from then would otherwise last
 * until ours has caught up.
 */
export function madeMs({ metadata }: KubeObject, nowMs: number): number {
  const saidMs = Date.parse(metadata.creationTimestamp ?? '') || 0;
  return saidMs > nowMs ? 0 : saidMs;
}
