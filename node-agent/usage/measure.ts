/** What pods use, from two readings of their cgroups' counters. Pure but for `measure`. */
import type { Clock } from '../../lib/clock.ts';
import type { ContainerUsage, Pod, PodStats } from '../../proto/gen/types.ts';
import type { ContainerStats, Runtime } from '../runtime/runtime.ts';

export interface Reading {
  readonly atMs: number;
  readonly containers: ReadonlyMap<string, ContainerStats>;
}

export interface UsageSources {
  readonly runtime: Pick<Runtime, 'stats'>;
  readonly pod: (uid: string) => Pod | undefined;
  readonly clock: Clock;
}

export async function read({ runtime, clock }: UsageSources, podUIDs?: readonly string[]): Promise<Reading> {
  const stats = await runtime.stats(podUIDs);
  return { atMs: clock.monotonicMs(), containers: new Map(stats.map((entry) => [entry.containerId, entry])) };
}

/** By pod, of what ran at the second reading. A container that was not there at the first has no rate yet. */
export function usageBetween(before: Reading, after: Reading, podOf: UsageSources['pod']): PodStats[] {
  const windowMs = Math.max(1, after.atMs - before.atMs);
  const byPod = new Map<string, ContainerUsage[]>();
  for (const [id, { podUid, name, cpuUsageNanos, memoryBytes, pids }] of after.containers) {
    const earlier = before.containers.get(id)?.cpuUsageNanos;
    const usage: ContainerUsage = {
      name,
      cpuUsageNanos: Number(cpuUsageNanos),
      memoryBytes,
      pids,
      ...(earlier !== undefined && { cpuNanocores: nanocores(cpuUsageNanos - earlier, windowMs) }),
    };
    byPod.set(podUid, [...(byPod.get(podUid) ?? []), usage]);
  }
  return [...byPod].flatMap(([uid, containers]) => {
    const pod = podOf(uid);
    if (!pod) return [];
    const { name, namespace = 'default' } = pod.metadata;
    return [{ namespace, name, uid, containers, windowMs: Math.round(windowMs) }];
  });
}

export function nanocores(usedNanos: bigint, windowMs: number): number {
  return Math.max(0, Math.round((Number(usedNanos) / windowMs) * 1000));
}
