/**
 * The wires between simulated hosts. A wire has two directions; each may be cut by itself. What is sent into a cut wire
 * waits there, as TCP would repeat it, and comes through when the wire is whole again.
 */
import type { World } from './world.ts';

interface Wire {
  cuts: number;
  /** Grows with every change, so that a late timer knows whether it is still meant. */
  generation: number;
  readonly held: (() => void)[];
}

/** A connection that hears nothing for so long is given up by keepalive. */
const keepaliveMs = 12_000;

export class Network {
  /** Longest one-way delay, apart from the few messages that take much longer. */
  delayMs = 3;
  slowChance = 0.01;
  slowMs = 150;
  readonly #world: World;
  readonly #wires = new Map<string, Wire>();
  readonly #down = new Set<string>();
  readonly #onSilence = new Set<(a: string, b: string) => void>();

  constructor(world: World) {
    this.#world = world;
  }

  /** As on a good day. */
  calm(): void {
    this.delayMs = 3;
    this.slowChance = 0.01;
    this.slowMs = 150;
  }

  isCut(from: string, to: string): boolean {
    if (from === to) return false;
    return this.#down.has(from) || this.#down.has(to) || (this.#wires.get(wireName(from, to))?.cuts ?? 0) > 0;
  }

  /** Both directions work. */
  connects(a: string, b: string): boolean {
    return !this.isCut(a, b) && !this.isCut(b, a);
  }

  cut(from: string, to: string): void {
    const wire = this.#wire(from, to);
    wire.cuts += 1;
    wire.generation += 1;
    this.#world.trace('network', `cut ${from} > ${to}`);
    this.#expectSilence(from, to);
  }

  mend(from: string, to: string): void {
    const wire = this.#wire(from, to);
    if (wire.cuts === 0) return;
    wire.cuts -= 1;
    wire.generation += 1;
    this.#world.trace('network', `mend ${from} > ${to}`);
    if (!this.isCut(from, to)) this.#release(wire);
  }

  mendAll(): void {
    for (const [name, wire] of this.#wires) {
      if (wire.cuts === 0) continue;
      wire.cuts = 0;
      wire.generation += 1;
      const [from = '', to = ''] = name.split('>');
      if (!this.isCut(from, to)) this.#release(wire);
    }
  }

  /** A host without power: nothing comes, nothing goes, and what is under way is lost. */
  setDown(host: string, down: boolean): void {
    if (down) this.#down.add(host);
    else this.#down.delete(host);
    for (const [name, wire] of this.#wires) {
      const [from = '', to = ''] = name.split('>');
      if (from !== host && to !== host) continue;
      wire.generation += 1;
      wire.held.length = 0;
    }
  }

  /** Called when keepalive has given up on connections between two hosts. */
  onSilence(callback: (a: string, b: string) => void): () => void {
    this.#onSilence.add(callback);
    return () => this.#onSilence.delete(callback);
  }

  /** A direction of one connection: messages arrive in the order they were sent. */
  pipe(from: string, to: string): Pipe {
    let lastDueMs = 0;
    return {
      send: (deliver) => {
        const dueMs = Math.max(lastDueMs, this.#world.nowMs + this.#delay(from, to));
        lastDueMs = dueMs;
        this.#world.after(dueMs - this.#world.nowMs, () => this.#arrive(from, to, deliver));
      },
    };
  }

  #arrive(from: string, to: string, deliver: () => void): void {
    if (!this.isCut(from, to)) deliver();
    else if (!this.#down.has(from) && !this.#down.has(to)) this.#wire(from, to).held.push(deliver);
  }

  #delay(from: string, to: string): number {
    if (from === to) return 0.05;
    const base = 0.2 + this.#world.random.next() * this.delayMs;
    return this.#world.random.next() < this.slowChance ? base + this.#world.random.next() * this.slowMs : base;
  }

  #release(wire: Wire): void {
    for (const deliver of wire.held.splice(0)) this.#world.after(0, deliver);
  }

  #expectSilence(from: string, to: string): void {
    const { generation } = this.#wire(from, to);
    this.#world.after(this.#world.between(keepaliveMs - 2_000, keepaliveMs + 3_000), () => {
      if (this.#wire(from, to).generation !== generation) return;
      for (const tell of [...this.#onSilence]) tell(from, to);
    });
  }

  #wire(from: string, to: string): Wire {
    const name = wireName(from, to);
    let wire = this.#wires.get(name);
    if (!wire) {
      wire = { cuts: 0, generation: 0, held: [] };
      this.#wires.set(name, wire);
    }
    return wire;
  }
}

export interface Pipe {
  send(deliver: () => void): void;
}

const wireName = (from: string, to: string): string => `${from}>${to}`;
