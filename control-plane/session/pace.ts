/**
 * How often agents beat. As is configured while the leader can easily take so many; beyond that less often, but always
 * twice within a lease, so that one beat may come late.
 */

/** About a third of a processor. */
const mostBeatsPerSecond = 2_500;
const shareOfLease = 0.45;
/** So that one node more or less is no news to all the others. */
const stepMs = 50;

export interface PaceConfig {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
}

/** Milliseconds between two beats of a node. */
export function paceFor(sessions: number, { heartbeatMs, leaseMs }: PaceConfig): number {
  const wantedMs = Math.ceil((sessions * 1000) / mostBeatsPerSecond / stepMs) * stepMs;
  const longestMs = Math.floor(leaseMs * shareOfLease);
  return Math.max(heartbeatMs, Math.min(wantedMs, longestMs));
}
