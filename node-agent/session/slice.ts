/**
 * The agent's copy of its part of the cluster (gantry.v1.Slice): its own pods, the ConfigMaps and Secrets they name,
 * and all Services, EndpointSlices and Nodes. It outlives the control plane and the agent: it is read back from disk
 * at start, before the first connection.
 */

import type { Kind } from '../../lib/model/schema.ts';
import type { KindMap } from '../../proto/gen/types.ts';

export interface SliceReader {
  get<K extends Kind>(kind: K, namespace: string | undefined, name: string): KindMap[K] | undefined;
  list<K extends Kind>(kind: K): readonly KindMap[K][];
  /** Store revision of the copy; undefined until the first complete slice ever. */
  readonly revision: string | undefined;
  /** Called after each applied slice with the kinds that changed and the uids of pods touched. Returns its cancel. */
  onChange(callback: (change: SliceChange) => void): () => void;
}

export interface SliceChange {
  readonly kinds: ReadonlySet<Kind>;
  /** Pods whose object, ConfigMaps or Secrets changed, or that were taken away. */
  readonly podUIDs: ReadonlySet<string>;
}
