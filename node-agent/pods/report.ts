/** Where the node's pod lifecycle reports to. The session batches, retries and keeps the newest of each pod. */
import type { Event, NodeStatus, PodStatus } from '../../proto/gen/types.ts';

export interface StatusSink {
  /** Replaces what was reported of this pod before. */
  pod(pod: { namespace: string; name: string; uid: string }, status: PodStatus): void;
  /** Nothing of the pod is left on this node. */
  removed(pod: { namespace: string; name: string; uid: string }): void;
  node(status: NodeStatus): void;
  event(event: Event): void;
}
