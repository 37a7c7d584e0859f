/**
 * Of which pods each agent is asked for figures, and what they answered. Only pods of autoscaled workloads are asked
 * for: a cluster without autoscalers pays nothing, and one with many a message for each node that runs such pods in
 * each period, beside the heartbeats. Nothing of it is stored.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { PodStats, UsageWanted } from '../../proto/gen/types.ts';
import type { ClusterState, ObjectChange } from '../state/cluster-state.ts';
import { autoscaledPods } from './autoscaled.ts';
import { PodUsages, usagePeriodMs } from './pod-usage.ts';

/** Pods come and go in bursts. */
const gatherMs = 1_000;

export interface CollectionParts {
  readonly state: ClusterState;
  readonly clock: Clock;
  /** An agent in session must be told. */
  readonly onWanted: (nodeName: string, wanted: UsageWanted) => void;
}

export class UsageCollection {
  readonly usages = new PodUsages();
  readonly #parts: CollectionParts;
  #wanted = new Map<string, Set<string>>();
  #timer: Timer | undefined;
  #unsubscribe: () => void = () => {};

  constructor(parts: CollectionParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#unsubscribe = this.#parts.state.onChange((changes) => this.#onChanges(changes));
    this.#refresh();
  }

  stop(): void {
    this.#unsubscribe();
    this.#timer?.cancel();
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    if (this.#timer || !changes.some((change) => this.#matters(change))) return;
    this.#timer = this.#parts.clock.schedule(gatherMs, () => {
      this.#timer = undefined;
      this.#refresh();
    });
  }

  /** Undefined: nothing, as every agent assumes at the begin of its session. */
  wantedOf(nodeName: string): UsageWanted | undefined {
    const uids = this.#wanted.get(nodeName);
    return uids && { podUIDs: [...uids], periodMs: usagePeriodMs };
  }

  record(nodeName: string, pods: readonly PodStats[]): void {
    const wanted = this.#wanted.get(nodeName);
    if (wanted) this.usages.record(pods, wanted, this.#parts.clock.nowMs());
  }

  #matters({ object, previous }: ObjectChange): boolean {
    const kind = (object ?? previous)?.kind;
    if (kind === 'HorizontalPodAutoscaler') return true;
    return kind === 'Pod' && this.#parts.state.list('HorizontalPodAutoscaler').length > 0;
  }

  #refresh(): void {
    const before = this.#wanted;
    this.#wanted = autoscaledPods(this.#parts.state);
    this.usages.retain(new Set([...this.#wanted.values()].flatMap((uids) => [...uids])));
    for (const nodeName of new Set([...before.keys(), ...this.#wanted.keys()])) {
      if (isSameSet(before.get(nodeName), this.#wanted.get(nodeName))) continue;
      this.#parts.onWanted(nodeName, this.wantedOf(nodeName) ?? { podUIDs: [] });
    }
  }
}

function isSameSet(a: ReadonlySet<string> = new Set(), b: ReadonlySet<string> = new Set()): boolean {
  return a.size === b.size && [...a].every((item) => b.has(item));
}
