/**
 * Keeps Node objects equal to what the leader knows: alive or lost, and what the agent last reported. Level-triggered:
 * `sync` writes only when the stored node differs, and works from the newest knowledge however often it is retried.
 */

import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { findCondition } from '../../lib/model/conditions.ts';
import { objectKey } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { modRevisionIs, putOf, type Store } from '../../lib/store/store.ts';
import type { Node } from '../../proto/gen/types.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import type { Snapshot } from '../state/snapshot.ts';
import type { UpToDate } from '../state/up-to-date.ts';
import type { FencedWriter } from './fenced-write.ts';
import { type NodeKnowledge, planNode } from './status-plan.ts';

export interface NodeWriterDependencies {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly snapshot: Snapshot;
  readonly clock: Clock;
  /** The mirror, to read from instead of the store. */
  readonly upToDate?: UpToDate;
  /** After a write that changed whether the node is Ready. */
  readonly onReadyChange: (node: Node) => void;
}

const attempts = 20;

export interface NodeWriter {
  /**
   * Resolves with the stored node, which says what `knowledge()` said; undefined when there is no such node. With `rewrite`
   * it is written even if it says that already: whatever is on its way upon an older look at the node is then void.
   */
  sync(nodeName: string, knowledge: () => NodeKnowledge, rewrite?: boolean): Promise<Node | undefined>;
}

export function createNodeWriter(writer: FencedWriter, dependencies: NodeWriterDependencies): NodeWriter {
  /** The end of each node's queue: writes of one node do not race each other. */
  const queues = new Map<string, Promise<unknown>>();
  return {
    sync(nodeName, knowledge, rewrite = false) {
      const before = queues.get(nodeName) ?? Promise.resolve();
      const next = before
        .catch(() => {})
        .then(() => writer.persist(() => syncOnce(nodeName, knowledge, rewrite, writer, dependencies)));
      queues.set(nodeName, next);
      const forget = (): void => {
        if (queues.get(nodeName) === next) queues.delete(nodeName);
      };
      next.then(forget, forget);
      return next;
    },
  };
}

async function syncOnce(
  nodeName: string,
  knowledge: () => NodeKnowledge,
  rewrite: boolean,
  writer: FencedWriter,
  { snapshot, clock, onReadyChange, ...reading }: NodeWriterDependencies,
): Promise<Node | undefined> {
  const key = objectKey('Node', undefined, nodeName);
  let stored = snapshot.get('Node', undefined, nodeName);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (stored) {
      const planned = planNode(stored, knowledge(), clock.nowMs()) ?? (rewrite ? stored : undefined);
      // "Nothing to do" is believed only of what is up to date: the snapshot may be behind our own last write.
      if (planned && (await put(key, planned, writer, reading.codec))) {
        if (readyStatus(planned) !== readyStatus(stored)) onReadyChange(planned);
        return planned;
      }
    }
    stored = await readNode(nodeName, reading);
    if (!stored) return undefined;
    if (!rewrite && !planNode(stored, knowledge(), clock.nowMs())) return stored;
  }
  throw new GantryError('aborted', `node ${nodeName} is being written by many`);
}

async function readNode(
  nodeName: string,
  { store, codec, upToDate }: Pick<NodeWriterDependencies, 'store' | 'codec' | 'upToDate'>,
): Promise<Node | undefined> {
  const shown = (await upToDate?.())?.get('Node', undefined, nodeName);
  if (shown) return shown;
  const key = objectKey('Node', undefined, nodeName);
  const { kv } = await store.get(key);
  return kv && (codec.decode(key, kv.value, kv.modRevision) as Node);
}

function put(key: string, node: Node, writer: FencedWriter, codec: ObjectCodec): Promise<boolean> {
  const compare = [modRevisionIs(key, revisionOf(node))];
  return writer.write(compare, [putOf(key, codec.encode(node))]);
}

const readyStatus = (node: Node): string | undefined => findCondition(node.status?.conditions, 'Ready')?.status;
