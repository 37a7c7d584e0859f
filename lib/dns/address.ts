/** IPv4 addresses as DNS names write them. Pure. */

export function isAddress(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** `10.0.42.10.in-addr.arpa` -> `10.42.0.10`. */
export function addressOfReverseName(name: string): string | undefined {
  if (!name.endsWith('.in-addr.arpa')) return undefined;
  const ip = name.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.');
  return isAddress(ip) ? ip : undefined;
}

export function reverseNameOf(ip: string): string {
  return `${ip.split('.').reverse().join('.')}.in-addr.arpa`;
}

export function isInside(cidr: string, ip: string): boolean {
  const [network = '', bits = '32'] = cidr.split('/');
  const toNumber = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  return Math.floor(toNumber(network) / size) === Math.floor(toNumber(ip) / size);
}
