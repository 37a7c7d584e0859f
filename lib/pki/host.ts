import { isIP } from 'node:net';

/** The host of host:port; [v6]:port is understood, a bare host is left as it is. */
export function hostOf(address: string): string {
  if (isIP(address)) return address;
  const bracketed = /^\[(.*)\]:\d+$/.exec(address);
  return bracketed ? bracketed[1]! : address.replace(/:\d+$/, '');
}
