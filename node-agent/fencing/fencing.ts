/**
 * The agent's side of fencing (lib/model/fencing.ts): whether a pod may start here, and whether it was stopped for good.
 *
 * - A pod that must not run twice gets a new sandbox only while the agent knows what is wanted today: from the complete slice
 *   of a session, no older than the store was when that session began, and with no lapse of contact since. The control
 *   plane removes the pod of a lost node only while no session of that node is open, and a session that opens makes
 *   removals on their way fail: what the slice then shows was not given to another node.
 * - `stop-after`: nothing of the pod starts when its deadline is over, and the watchdog knows of it before anything starts.
 *   A container is created before it is started, and the deadline is looked at in between: whatever was created in time dies
 *   with the watchdog's kill, and whatever was created later is never started.
 */
import { fencingOf, leastStopAfterSeconds, stopAfterMs } from '../../lib/model/fencing.ts';
import type { Pod } from '../../proto/gen/types.ts';
import type { Watchdog } from './watchdog.ts';

export const Permission = {
  /** It may run. */
  free: 'free',
  /** What runs may go on, restarts included; a new sandbox waits for word from the control plane. */
  wait: 'wait',
  /** For good: the pod has failed. */
  stopped: 'stopped',
} as const;
export type Permission = (typeof Permission)[keyof typeof Permission];

/** What the pods' lifecycle asks. */
export interface PodFencing {
  permission(pod: Pod): Permission;
  /** Before the pod's sandbox, and before each of its containers, is made. */
  guard(pod: Pod): Promise<void>;
  /** When nothing of the pod is left. */
  release(uid: string): Promise<void>;
  /** At the start: pods of which nothing is left have none to be guarded. */
  retain(uids: ReadonlySet<string>): Promise<void>;
}

/** What the session tells. */
export interface LeaseFollower {
  /** In which `sentAtMs` is told. */
  nowMs(): number;
  /** A session has begun; the store was at `revision`. */
  welcomed(revision: string | undefined): void;
  /** False: contact had lapsed within this session, which must end: what it said before may be of yesterday. */
  acknowledged(sentAtMs: number): boolean;
  /** The complete slice of the present session. False: it is older than the session, another one is needed. */
  sliceApplied(revision: string | undefined): boolean;
}

export function createFencing(watchdog: Watchdog): PodFencing & LeaseFollower {
  return new NodeFencing(watchdog);
}

/** For agents of tests that have nothing to fence. */
export const noFencing: PodFencing = {
  permission: () => Permission.free,
  async guard() {},
  async release() {},
  async retain() {},
};

/** Shorter than the shortest deadline: after it somebody may have been given up. */
export const lapseMs = leastStopAfterSeconds * 1000;

class NodeFencing implements PodFencing, LeaseFollower {
  readonly #watchdog: Watchdog;
  /** What is wanted of this node is what the control plane wants now. */
  #confirmed = false;
  #heardInSession = false;
  #requiredRevision = 0n;

  constructor(watchdog: Watchdog) {
    this.#watchdog = watchdog;
  }

  nowMs(): number {
    return this.#watchdog.nowMs();
  }

  welcomed(revision: string | undefined): void {
    this.#confirmed = false;
    this.#heardInSession = false;
    this.#requiredRevision = BigInt(revision ?? 0);
  }

  acknowledged(sentAtMs: number): boolean {
    if (this.#heardInSession && this.#isSilentFor(lapseMs)) {
      this.#confirmed = false;
      return false;
    }
    this.#heardInSession = true;
    this.#watchdog.renew(sentAtMs);
    return true;
  }

  sliceApplied(revision: string | undefined): boolean {
    this.#confirmed = BigInt(revision ?? 0) >= this.#requiredRevision;
    return this.#confirmed;
  }

  permission(pod: Pod): Permission {
    const fencing = fencingOf(pod);
    if (!fencing) return Permission.free;
    const uid = pod.metadata.uid ?? '';
    if (fencing === 'stop-after') {
      if (this.#watchdog.isFenced(uid)) return Permission.stopped;
      const isOver = this.#isSilentFor(stopAfterMs(pod));
      if (isOver) return this.#watchdog.guarded().includes(uid) ? Permission.stopped : Permission.wait;
    }
    return this.#confirmed ? Permission.free : Permission.wait;
  }

  async guard(pod: Pod): Promise<void> {
    if (fencingOf(pod) !== 'stop-after') return;
    await this.#watchdog.guard({ uid: pod.metadata.uid ?? '', stopAfterMs: stopAfterMs(pod) });
  }

  async release(uid: string): Promise<void> {
    if (this.#watchdog.guarded().includes(uid)) await this.#watchdog.release(uid);
  }

  async retain(uids: ReadonlySet<string>): Promise<void> {
    for (const uid of this.#watchdog.guarded()) {
      if (!uids.has(uid)) await this.#watchdog.release(uid);
    }
  }

  #isSilentFor(durationMs: number): boolean {
    const renewedAtMs = this.#watchdog.renewedAtMs();
    return renewedAtMs === undefined || this.nowMs() >= renewedAtMs + durationMs;
  }
}
