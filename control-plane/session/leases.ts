/**
 * The leader's judgement of who is alive. Pure state: time comes in as a number, verdicts go out as data.
 *
 * Invariants
 * - A node is lost only after a full lease in which we were able to hear it and did not: time in which our own event
 *   loop stood still counts for nobody, and a verdict is passed only after what had arrived was looked at (`suspects`
 *   first, `expire` after the inbox was drained).
 * - A node that was never heard in this term has a full lease from the term's begin, and time to reconnect.
 * - While a node waits for our answer to its hello (our store may be away), its silence is ours.
 */

export interface NodeLease {
  readonly alive: boolean;
  /** Monotonic. When the lease ends unless it is renewed; for a lost node, when it ended. */
  readonly expiresAtMs: number;
}

/** More nodes than this share lost together is our network's fault rather than theirs. */
const massLossShare = 0.55;
/** Lost within this long of one another: lost together. */
const togetherMs = 30_000;
/** An agent that lost its leader tries again at least this often. */
const reconnectMs = 2_000;
/** Whoever waited this long for an answer may have given up: it needs time to come back. */
const slowAnswerMs = 1_000;
/** In which nothing is silent for much longer. */
const soonMs = 20;
/** Below this many nodes a share says nothing: one of one node lost is just a lost node. */
const massLossNodes = 3;

export class Leases {
  readonly #leases = new Map<string, NodeLease>();
  /** How many hellos of a node are not answered yet. */
  readonly #unanswered = new Map<string, number>();
  readonly #leaseMs: number;
  readonly #tickMs: number;
  #lastTickMs: number;
  /** Of leases, so far. */
  #changes = 0;
  /** Asked for each of many lost nodes in a row. */
  #massLoss: { readonly atMs: number; readonly changes: number; readonly verdict: boolean } | undefined;

  constructor(options: { readonly leaseMs: number; readonly tickMs: number; readonly nowMs: number }) {
    this.#leaseMs = options.leaseMs;
    this.#tickMs = options.tickMs;
    this.#lastTickMs = options.nowMs;
  }

  get all(): ReadonlyMap<string, NodeLease> {
    return this.#leases;
  }

  /** A full lease, and the time it takes to find a new leader, for a node that has none yet. */
  grant(node: string, nowMs: number): void {
    if (this.#leases.has(node)) return;
    this.#put(node, { alive: true, expiresAtMs: nowMs + this.#leaseMs + reconnectMs });
  }

  /** True when the node was lost, or unknown, until now. */
  heard(node: string, nowMs: number): boolean {
    const revived = this.#leases.get(node)?.alive !== true;
    this.#put(node, { alive: true, expiresAtMs: nowMs + this.#leaseMs });
    return revived;
  }

  /** From a hello on; returns what to call when it was answered, or cannot be. */
  waits(node: string, sinceMs: number): (nowMs: number) => void {
    this.#unanswered.set(node, (this.#unanswered.get(node) ?? 0) + 1);
    return (nowMs) => {
      const left = this.#unanswered.get(node)! - 1;
      if (left > 0) this.#unanswered.set(node, left);
      else this.#unanswered.delete(node);
      const lease = this.#leases.get(node);
      if (!lease?.alive || nowMs - sinceMs < slowAnswerMs) return;
      const expiresAtMs = Math.max(lease.expiresAtMs, nowMs + this.#leaseMs + reconnectMs);
      this.#put(node, { alive: true, expiresAtMs });
    };
  }

  forget(node: string): void {
    this.#leases.delete(node);
    this.#changes += 1;
  }

  /** Call every tickMs. What a tick comes late by, our event loop has stood still, and every lease is longer by that. */
  tick(nowMs: number): { readonly stalledMs: number; readonly suspects: readonly string[] } {
    const lateMs = nowMs - this.#lastTickMs - this.#tickMs;
    this.#lastTickMs = nowMs;
    const stalledMs = lateMs > this.#tickMs ? lateMs : 0;
    if (stalledMs > 0) this.#extend(stalledMs);
    return { stalledMs, suspects: this.#overdue(nowMs) };
  }

  /** Those of the suspects that have not been heard even now. They are lost. */
  expire(suspects: readonly string[], nowMs: number): readonly string[] {
    const overdue = new Set(this.#overdue(nowMs));
    const lost = suspects.filter((node) => overdue.has(node));
    for (const node of lost) this.#put(node, { ...this.#leases.get(node)!, alive: false });
    return lost;
  }

  /**
   * Whether so many vanished together that evicting their pods would do more harm than waiting. Nodes silent for half
   * a lease count as vanishing: heartbeats are spread over an interval, and so are the ends of leases cut by one cause.
   */
  massLoss(nowMs: number): boolean {
    const known = this.#massLoss;
    if (known?.changes === this.#changes && Math.abs(nowMs - known.atMs) < soonMs) return known.verdict;
    const verdict = this.#isMassLoss(nowMs);
    this.#massLoss = { atMs: nowMs, changes: this.#changes, verdict };
    return verdict;
  }

  #isMassLoss(nowMs: number): boolean {
    const endsMs = [...this.#leases.values()]
      .filter(({ alive, expiresAtMs }) => !alive || expiresAtMs < nowMs + this.#leaseMs / 2)
      .map(({ expiresAtMs }) => expiresAtMs);
    return this.#leases.size >= massLossNodes && mostTogether(endsMs) / this.#leases.size > massLossShare;
  }

  #put(node: string, lease: NodeLease): void {
    this.#leases.set(node, lease);
    this.#changes += 1;
  }

  #overdue(nowMs: number): string[] {
    return [...this.#leases]
      .filter(([node, { alive, expiresAtMs }]) => alive && expiresAtMs <= nowMs && !this.#unanswered.has(node))
      .map(([node]) => node);
  }

  #extend(byMs: number): void {
    for (const [node, lease] of this.#leases) {
      if (lease.alive) this.#put(node, { alive: true, expiresAtMs: lease.expiresAtMs + byMs });
    }
  }
}

/** The largest number of instants within `togetherMs` of one another. */
function mostTogether(instantsMs: number[]): number {
  const sorted = instantsMs.sort((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [index, ms] of sorted.entries()) {
    while (ms - sorted[first]! > togetherMs) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}
