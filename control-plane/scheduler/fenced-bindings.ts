/**
 * Bindings of pods that must not run twice (lib/model/fencing.ts). Such a pod must never be bound to a node that is gone:
 * nobody could say any more that it has stopped, and it would wait for a person.
 *
 * - Its binding also compares and rewrites its Node, as it is. Whoever deletes a Node compares its revision, too, read
 *   before he looked for such pods (control-plane/api/fencing.ts): of the two, whoever comes second loses.
 * - Each is a transaction of its own. Those of one node go one after another, since each makes the Node's revision that
 *   the next one compares; those of different nodes go side by side.
 */
import { encodeObject } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { mostTransactions, type Part, type WriteOptions, type Written, writeParts } from './write-parts.ts';

export interface FencedBinding {
  readonly part: Part<Pod>;
  /** As the scheduler saw it. */
  readonly node: Node;
}

export async function writeFenced(bindings: readonly FencedBinding[], options: WriteOptions): Promise<Written<Pod>> {
  const done: Pod[] = [];
  const failed: Pod[] = [];
  let revision = 0n;

  const bindTo = async (node: Node, parts: readonly Part<Pod>[]): Promise<void> => {
    let nodeRevision = revisionOf(node);
    for (const part of parts) {
      const written = await writeParts([withNode(part, node, nodeRevision)], { ...options, mostParts: 1 });
      done.push(...written.done);
      failed.push(...written.failed);
      if (written.done.length > 0) nodeRevision = written.revision;
      if (written.revision > revision) revision = written.revision;
    }
  };

  const waiting = [...Map.groupBy(bindings, ({ node }) => node)];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      await bindTo(
        next[0],
        next[1].map(({ part }) => part),
      );
  };
  await Promise.all(Array.from({ length: mostTransactions }, work));
  return { done, failed, revision };
}

/** With the Node, which is at this revision and stays as it is. */
export function withNode(part: Part<Pod>, node: Node, revision: bigint): Part<Pod> {
  const key = keyOf(node);
  return {
    ...part,
    compare: [...part.compare, modRevisionIs(key, revision)],
    success: [...part.success, putOf(key, encodeObject(node))],
  };
}
