/**
 * Each pod's own block of 65,536 host ids for its user namespace. Pure. The pods' records on disk say which blocks are
 * taken; a block is free again when its pod's record is gone.
 */
import { GantryError } from '../../lib/errors.ts';
import { idsPerPod } from './container-config.ts';

/** Above everything that a host hands out to people, services and rootless containers. */
const firstId = 2 ** 20;
const blocks = 60_000;

/** The first free block at or after a place that depends on the node's name. */
export function allocateIdRange(taken: ReadonlySet<number>, nodeName: string): number {
  // Nodes that share a kernel (a lab) should not share ids: limits per user id would be shared too.
  const offset = hash(nodeName) % blocks;
  for (let index = 0; index < blocks; index += 1) {
    const start = firstId + ((offset + index) % blocks) * idsPerPod;
    if (!taken.has(start)) return start;
  }
  throw new GantryError('resourceExhausted', 'this node has no free user id range; remove finished pods');
}

/** FNV-1a */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ character.codePointAt(0)!, 0x01000193) >>> 0;
  return value;
}
