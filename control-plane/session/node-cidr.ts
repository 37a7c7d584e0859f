/** Which /24 of the cluster's pod range a node gets. Pure. */
import { GantryError } from '../../lib/errors.ts';
import { nodeCIDRKey } from '../../lib/model/allocations.ts';

const nodeBits = 24;

/** Every node range of the cluster CIDR, in order. */
export function* nodeCidrs(clusterCIDR: string): Generator<string> {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(clusterCIDR);
  const octets = match?.slice(1, 5).map(Number) ?? [];
  const bits = Number(match?.[5] ?? Number.NaN);
  if (!(bits >= 8 && bits <= nodeBits) || octets.some((octet) => octet > 255)) {
    throw new GantryError(
      'invalidArgument',
      `cluster CIDR ${clusterCIDR} cannot be divided among nodes; give an IPv4 range from /8 to /${nodeBits}`,
    );
  }
  const [a = 0, b = 0, c = 0] = octets;
  const count = 2 ** (nodeBits - bits);
  const first = Math.floor((a * 65_536 + b * 256 + c) / count) * count;
  for (let network = first; network < first + count; network += 1) {
    yield `${network >> 16}.${(network >> 8) & 255}.${network & 255}.0/${nodeBits}`;
  }
}

export interface CidrOwner {
  /** Node name that the allocation is recorded for. */
  readonly nodeName: string;
  readonly modRevision: bigint;
}

export interface CidrChoice {
  readonly podCIDR: string;
  /** 0n: nobody holds it. Otherwise the revision of a holding that is ours, or of a node that is gone. */
  readonly replaces: bigint;
}

/** The ranges of a cluster at one moment, and who was given one since. */
export class CidrPicture {
  readonly #owners: Map<string, CidrOwner>;
  readonly #exists: (nodeName: string) => boolean;
  readonly #clusterCIDR: string;
  /** Ranges by the node they are recorded for. */
  readonly #held = new Map<string, string>();
  readonly #untried: Iterator<string>;
  readonly #given = new Set<string>();

  constructor(clusterCIDR: string, owners: ReadonlyMap<string, CidrOwner>, exists: (nodeName: string) => boolean) {
    this.#clusterCIDR = clusterCIDR;
    this.#owners = new Map(owners);
    this.#exists = exists;
    for (const [key, { nodeName }] of owners) this.#held.set(nodeName, key);
    this.#untried = nodeCidrs(clusterCIDR);
  }

  /**
   * A range that this node held before, else the first that nobody holds, else the first of a node that no longer
   * exists. Ranges of gone nodes come last, so that addresses in people's logs stay unambiguous for as long as possible.
   * Nobody else is given it from this picture.
   */
  choose(nodeName: string): CidrChoice | undefined {
    const choice = this.#own(nodeName) ?? this.#free() ?? this.#abandoned();
    if (choice) this.#given.add(nodeCIDRKey(choice.podCIDR));
    return choice;
  }

  /** The choice was written. */
  record(podCIDR: string, owner: CidrOwner): void {
    this.#owners.set(nodeCIDRKey(podCIDR), owner);
    this.#held.set(owner.nodeName, nodeCIDRKey(podCIDR));
  }

  #own(nodeName: string): CidrChoice | undefined {
    const key = this.#held.get(nodeName);
    if (key === undefined) return undefined;
    const podCIDR = nodeCidrs(this.#clusterCIDR).find((one) => nodeCIDRKey(one) === key);
    return podCIDR === undefined ? undefined : { podCIDR, replaces: this.#owners.get(key)!.modRevision };
  }

  #free(): CidrChoice | undefined {
    for (let next = this.#untried.next(); !next.done; next = this.#untried.next()) {
      if (!this.#owners.has(nodeCIDRKey(next.value))) return { podCIDR: next.value, replaces: 0n };
    }
    return undefined;
  }

  #abandoned(): CidrChoice | undefined {
    for (const podCIDR of nodeCidrs(this.#clusterCIDR)) {
      const owner = this.#owners.get(nodeCIDRKey(podCIDR));
      const free = owner && !this.#given.has(nodeCIDRKey(podCIDR)) && !this.#exists(owner.nodeName);
      if (free) return { podCIDR, replaces: owner.modRevision };
    }
    return undefined;
  }
}
