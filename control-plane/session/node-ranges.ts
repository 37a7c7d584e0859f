/**
 * Gives joining nodes their pod ranges from a picture of the store that is read once for all who join within a second:
 * thousands may come at once. The transaction of the one who joins decides; who loses it has the picture read again.
 */
import type { Clock } from '../../lib/clock.ts';
import { nodeCIDRPrefix } from '../../lib/model/allocations.ts';
import { kindPrefix, objectKey } from '../../lib/model/keys.ts';
import type { KeyValue, Store } from '../../lib/store/store.ts';
import { type CidrChoice, type CidrOwner, CidrPicture } from './node-cidr.ts';

const goodForMs = 1_000;

interface Reading {
  readonly atMs: number;
  readonly picture: Promise<CidrPicture>;
}

export class NodeRanges {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #clusterCIDR: string;
  #reading: Reading | undefined;

  constructor({ store, clock, clusterCIDR }: { store: Store; clock: Clock; clusterCIDR: string }) {
    this.#store = store;
    this.#clock = clock;
    this.#clusterCIDR = clusterCIDR;
  }

  /** Undefined when there is none left, as of now. */
  async choose(nodeName: string): Promise<CidrChoice | undefined> {
    const before = this.#reading;
    const choice = (await this.#picture()).choose(nodeName);
    if (choice || this.#reading !== before) return choice;
    this.forget();
    return (await this.#picture()).choose(nodeName);
  }

  async record(podCIDR: string, owner: CidrOwner): Promise<void> {
    (await this.#reading?.picture)?.record(podCIDR, owner);
  }

  /** The picture was wrong. */
  forget(): void {
    this.#reading = undefined;
  }

  #picture(): Promise<CidrPicture> {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#reading || nowMs - this.#reading.atMs > goodForMs) {
      this.#reading = { atMs: nowMs, picture: this.#read() };
    }
    return this.#reading.picture;
  }

  async #read(): Promise<CidrPicture> {
    try {
      const [allocations, nodes] = await Promise.all([
        this.#store.list(nodeCIDRPrefix),
        this.#store.list(kindPrefix('Node'), { keysOnly: true }),
      ]);
      const existing = new Set(nodes.items.map(({ key }) => key));
      const owners = new Map(allocations.items.map((kv): [string, CidrOwner] => [kv.key, ownerOf(kv)]));
      return new CidrPicture(this.#clusterCIDR, owners, (name) => existing.has(objectKey('Node', undefined, name)));
    } catch (error) {
      this.forget();
      throw error;
    }
  }
}

const ownerOf = (kv: KeyValue): CidrOwner => ({
  nodeName: new TextDecoder().decode(kv.value),
  modRevision: kv.modRevision,
});
