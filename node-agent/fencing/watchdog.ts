/**
 * What stops the pods that must not run twice when the node has lost the control plane (`stop-after`, lib/model/fencing.ts).
 *
 * The watchdog is no part of the agent: it goes on while the agent is dead, stands still or starts again, so that nothing
 * the agent does or fails to do makes a pod outlive its deadline. `process.ts` is the real one, `fake.ts` one for a simulated
 * machine; one contract suite holds both to this page.
 *
 * Invariants
 * - A guarded pod is killed, everything in its cgroup, when `stopAfterMs` have passed since the newest renewal. Time is
 *   CLOCK_BOOTTIME, which also counts while the machine sleeps.
 * - What was killed so is fenced for good: it is killed again should anything of it appear, until it is released. A renewal
 *   that comes too late changes nothing.
 * - Renewals and guarded pods survive the agent. After a reboot every pod that was guarded is fenced.
 */
export interface Watchdog {
  /** CLOCK_BOOTTIME, milliseconds. Renewals are told in it. */
  nowMs(): number;
  /** Before anything of the pod runs. When this resolves the watchdog knows of it, and lives. Idempotent. */
  guard(pod: GuardedPod): Promise<void>;
  /** When nothing of the pod is left. Unknown is success. */
  release(uid: string): Promise<void>;
  /** Synchronous, and cheap enough for every heartbeat. `sentAtMs`: when the heartbeat that was acknowledged was sent. */
  renew(sentAtMs: number): void;
  /** The newest renewal, also one that a former agent was told of; undefined when there was none since the machine started. */
  renewedAtMs(): number | undefined;
  /** Guarded, or fenced and not released yet. */
  guarded(): readonly string[];
  /** Killed, or about to be. Synchronous: it is asked before every start. */
  isFenced(uid: string): boolean;
}

export interface GuardedPod {
  readonly uid: string;
  readonly stopAfterMs: number;
}
