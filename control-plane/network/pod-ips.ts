/**
 * Which address a pod gets: the next free one of its node's range after the last one given, so that an address rests
 * as long as possible before another pod has it. Pure; the binding's transaction takes the address by its key.
 */

/** `.0` is the network, `.1` the node's own overlay address, the last one broadcast. */
const reservedAtStart = 2;
const reservedAtEnd = 1;

/** Dotted quad as an unsigned 32-bit number. */
export function ipToNumber(ip: string): number {
  return ip.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

export function numberToIP(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** How many pods can have an address of this range. */
export function addressesOf(cidr: string): number {
  return 2 ** (32 - Number(cidr.split('/')[1])) - reservedAtStart - reservedAtEnd;
}

/** Undefined when every address of `cidr` is taken. `after` may be any address; outside the range it counts as none. */
export function nextPodIP(cidr: string, taken: (ip: string) => boolean, after?: string): string | undefined {
  const [network] = cidr.split('/');
  const base = ipToNumber(network!);
  const usable = addressesOf(cidr);
  const first = base + reservedAtStart;
  const last = after === undefined ? first - 1 : ipToNumber(after);
  const start = last >= first && last < first + usable ? last - first + 1 : 0;
  for (let step = 0; step < usable; step++) {
    const ip = numberToIP(first + ((start + step) % usable));
    if (!taken(ip)) return ip;
  }
  return undefined;
}
