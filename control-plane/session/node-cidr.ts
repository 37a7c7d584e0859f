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

/**
 * A range that this node held before, else the first that nobody holds, else the first of a node that no longer
 * exists. Ranges of gone nodes come last, so that addresses in people's logs stay unambiguous for as long as possible.
 */
export function chooseNodeCidr(
  nodeName: string,
  clusterCIDR: string,
  owners: ReadonlyMap<string, CidrOwner>,
  exists: (nodeName: string) => boolean,
): CidrChoice | undefined {
  let free: CidrChoice | undefined;
  let abandoned: CidrChoice | undefined;
  for (const podCIDR of nodeCidrs(clusterCIDR)) {
    const owner = owners.get(nodeCIDRKey(podCIDR));
    if (!owner) free ??= { podCIDR, replaces: 0n };
    else if (owner.nodeName === nodeName) return { podCIDR, replaces: owner.modRevision };
    else if (!exists(owner.nodeName)) abandoned ??= { podCIDR, replaces: owner.modRevision };
  }
  return free ?? abandoned;
}
