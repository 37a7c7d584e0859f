/** Who is at the other end of a connection, from what its certificate says. */
import { GantryError } from '../../lib/errors.ts';
import { hostOf } from '../../lib/pki/host.ts';
import type { Peer } from '../../lib/rpc/peer.ts';

const nodePrefix = 'node:';

/** The node that the peer's certificate names. */
export function nodeNameOf(peer: Peer): string {
  const { commonName, organization } = peer;
  if (organization === 'node' && commonName.startsWith(nodePrefix) && commonName.length > nodePrefix.length) {
    return commonName.slice(nodePrefix.length);
  }
  const who = commonName === '' ? 'a client without a certificate' : `"${commonName}" (${organization || 'no role'})`;
  throw new GantryError('permissionDenied', `only node agents open sessions; this is ${who}`);
}

/** The peer's IP, without the port and without IPv6's clothes around an IPv4 address. */
export function peerHost(peer: Peer): string {
  return hostOf(peer.address).replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');
}
