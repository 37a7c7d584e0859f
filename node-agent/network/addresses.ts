/** IPv4 arithmetic and the names and hardware addresses that follow from an address. Pure. */
import { createHash } from 'node:crypto';

export function parseAddress(ip: string): number | undefined {
  const parts = ip.split('.');
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export interface Range {
  readonly first: number;
  readonly last: number;
}

export function parseRange(cidr: string): Range | undefined {
  const [ip = '', bits = ''] = cidr.split('/');
  const address = parseAddress(ip);
  if (address === undefined || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return undefined;
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(address / size) * size;
  return { first, last: first + size - 1 };
}

export function contains(range: Range, ip: string): boolean {
  const address = parseAddress(ip);
  return address !== undefined && address >= range.first && address <= range.last;
}

/** First address of a range: the node's own address inside the overlay. */
export function gatewayOf(podCIDR: string): string {
  return podCIDR.split('/')[0]!;
}

function hardwareAddress(second: string, ip: string): string {
  const bytes = ip.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', second, ...bytes].join(':');
}

/** Of a node's VXLAN device: follows from the node's address, so that no peer has to ask. */
export const overlayMAC = (nodeIP: string): string => hardwareAddress('78', nodeIP);

/** Of a pod's eth0. */
export const podMAC = (podIP: string): string => hardwareAddress('70', podIP);

/** Of the host's end of every pod's cable: they never meet, each cable is a segment of its own. */
export const hostEndMAC = '02:68:00:00:00:01';

const linkPrefix = 'gt';

/** Host end of a pod's cable. Interface names have at most 15 characters. */
export function podLinkName(podUid: string): string {
  return linkPrefix + createHash('sha256').update(podUid).digest('hex').slice(0, 12);
}

export function isPodLinkName(name: string): boolean {
  return /^gt[0-9a-f]{12}$/.test(name);
}
