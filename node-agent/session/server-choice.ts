/**
 * Which control plane to turn to next. Pure state: time comes in as a number.
 *
 * The leader one was told of comes first; else it is everyone's turn. A server that kept silent is left alone for a
 * while, even if the others still take it for the leader: they learn of its end only when its lease is over. One that
 * does not answer the dial is left alone longer each time, and given longer: it may be dead, or have thousands to greet.
 * One whose session broke or fell silent is given little time at first: whoever names it has likely not heard of its
 * end yet, and each moment spent on it is one that the new leader waits for us.
 */

/** Shorter than a node's lease: a leader that comes back finds its nodes again. */
const leftAloneMs = 2_000;
const longestLeftAloneMs = 8_000;
const usualPatienceMs = 2_000;
const suspectPatienceMs = 500;
const longestPatienceMs = 5_000;
/** With nobody else to turn to. */
const longestAlonePatienceMs = 10_000;
const alonePatienceLeases = 3;

interface Silence {
  /** Dials without an answer, one after the other. */
  readonly dials: number;
  readonly untilMs: number;
  /** For the next dial. */
  readonly patienceMs: number;
}

export class ServerChoice {
  readonly #given: readonly string[];
  readonly #silences = new Map<string, Silence>();
  #servers: readonly string[];
  #turn = 0;
  #leader: string | undefined;

  constructor(servers: readonly string[]) {
    this.#given = servers;
    this.#servers = servers;
  }

  /** There are these as well. Those one was given stay, even if they are unknown to the others. */
  learn(servers: readonly string[]): void {
    this.#servers = [...new Set([...this.#given, ...servers])];
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

  /** How long to wait for its welcome. */
  patienceMs(address: string): number {
    const silence = this.#silences.get(address);
    if (this.#servers.length > 1) return silence?.patienceMs ?? usualPatienceMs;
    return silence && silence.dials > 0 ? longestAlonePatienceMs : longestPatienceMs;
  }

  /**
   * How many leases a server may say nothing in session. With nobody else to turn to, another session with the one that
   * is too busy to answer would only keep it busier.
   */
  get silentLeases(): number {
    return this.#servers.length > 1 ? 1 : alonePatienceLeases;
  }

  welcomed(address: string): void {
    this.#silences.delete(address);
  }

  /** Its session fell silent, or it did not answer the dial. */
  silent(address: string, when: 'in session' | 'dialed', nowMs: number): void {
    const before = this.#silences.get(address)?.dials ?? 0;
    const dials = when === 'dialed' ? Math.min(before + 1, 10) : before;
    const aloneMs = Math.min(longestLeftAloneMs, leftAloneMs * 2 ** dials);
    const patienceMs = when === 'dialed' ? this.#longerPatienceMs(address) : suspectPatienceMs;
    this.#silences.set(address, { dials, untilMs: nowMs + aloneMs, patienceMs });
    this.#passOn(address);
  }

  /** The connection broke, or there was none to be had. It may be back at any moment: it is not left alone. */
  broke(address: string, nowMs: number): void {
    if (!this.#silences.has(address)) {
      this.#silences.set(address, { dials: 0, untilMs: nowMs, patienceMs: suspectPatienceMs });
    }
    this.#passOn(address);
  }

  /** It answered with a refusal, and perhaps with the leader's address. */
  refused(address: string, leader: string | undefined, nowMs: number): void {
    if (leader && leader !== address && !this.#isSilent(leader, nowMs)) this.#leader = leader;
    else this.#passOn(address);
  }

  /** The one after it is next. */
  #passOn(address: string): void {
    const index = this.#servers.indexOf(address);
    if (index >= 0) this.#turn = index + 1;
  }

  #longerPatienceMs(address: string): number {
    return Math.min(longestPatienceMs, 2 * (this.#silences.get(address)?.patienceMs ?? usualPatienceMs));
  }

  #isSilent(address: string, nowMs: number): boolean {
    return (this.#silences.get(address)?.untilMs ?? 0) > nowMs;
  }
}
