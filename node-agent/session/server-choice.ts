/**
 * Which control plane to turn to next. Pure state: time comes in as a number.
 *
 * The leader one was told of comes first; else it is everyone's turn. A server that kept silent is left alone for a
 * while, even if the others still take it for the leader: they learn of its end only when its lease is over.
 */

/** Shorter than a node's lease: a leader that comes back finds its nodes again. */
const leftAloneMs = 2_000;
const shortestPatienceMs = 2_000;
const longestPatienceMs = 5_000;

export class ServerChoice {
  readonly #servers: readonly string[];
  readonly #silentUntilMs = new Map<string, number>();
  #turn = 0;
  #leader: string | undefined;
  #silences = 0;

  constructor(servers: readonly string[]) {
    this.#servers = servers;
  }

  /** The leader that the next attempt goes to. */
  get leader(): string | undefined {
    return this.#leader;
  }

  next(nowMs: number): string {
    const inTurn = this.#servers.map((_, index) => this.#servers[(this.#turn + index) % this.#servers.length]!);
    const address = this.#leader ?? inTurn.find((server) => !this.#isSilent(server, nowMs)) ?? inTurn[0]!;
    this.#leader = undefined;
    return address;
  }

  /** How long to wait for a welcome where there is another server to ask; longer each time that was too short. */
  get patienceMs(): number {
    if (this.#servers.length === 1) return longestPatienceMs;
    return Math.min(longestPatienceMs, shortestPatienceMs * 2 ** Math.min(this.#silences, 10));
  }

  welcomed(): void {
    this.#silences = 0;
    this.#silentUntilMs.clear();
  }

  silent(address: string, nowMs: number): void {
    this.#silences += 1;
    this.#silentUntilMs.set(address, nowMs + leftAloneMs);
    this.#turn += 1;
  }

  /** It answered, with a refusal or a broken connection, and perhaps with the leader's address. */
  refused(address: string, leader: string | undefined, nowMs: number): void {
    if (leader && leader !== address && !this.#isSilent(leader, nowMs)) this.#leader = leader;
    else this.#turn += 1;
  }

  #isSilent(address: string, nowMs: number): boolean {
    return (this.#silentUntilMs.get(address) ?? 0) > nowMs;
  }
}
