/**
 * What the pods of autoscaled workloads use, as their agents report it: in the leader's memory alone. A new leader
 * starts with nothing and has all of it again within a period.
 */
import type { PodStats } from '../../proto/gen/types.ts';

/** How often an agent reports. */
export const usagePeriodMs = 15_000;
/** Two reports missed, and a little. */
const longestAgeMs = 40_000;

export interface PodUsage {
  /** Of all containers. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** When it was heard, by this machine's wall clock. */
  readonly atMs: number;
  readonly windowMs: number;
}

/** Undefined: nothing is known of the pod, or nothing recent. */
export type UsageOf = (podUID: string, nowMs: number) => PodUsage | undefined;

export class PodUsages {
  readonly #byUID = new Map<string, PodUsage>();

  record(pods: readonly PodStats[], wanted: ReadonlySet<string>, nowMs: number): void {
    for (const pod of pods) {
      const usage = totalOf(pod, nowMs);
      if (usage && pod.uid !== undefined && wanted.has(pod.uid)) this.#byUID.set(pod.uid, usage);
    }
  }

  of: UsageOf = (podUID, nowMs) => {
    const usage = this.#byUID.get(podUID);
    return usage && Math.abs(nowMs - usage.atMs) <= longestAgeMs ? usage : undefined;
  };

  retain(wanted: ReadonlySet<string>): void {
    for (const uid of this.#byUID.keys()) if (!wanted.has(uid)) this.#byUID.delete(uid);
  }
}

/** Undefined when a container of it has no figure: a part would look like little use. */
export function totalOf({ containers = [], windowMs = 0 }: PodStats, atMs: number): PodUsage | undefined {
  let nanocores = 0;
  let memoryBytes = 0;
  for (const container of containers) {
    if (container.cpuNanocores === undefined) return undefined;
    nanocores += container.cpuNanocores;
    memoryBytes += container.memoryBytes ?? 0;
  }
  return containers.length === 0 ? undefined : { cpuMillis: Math.ceil(nanocores / 1e6), memoryBytes, atMs, windowMs };
}
