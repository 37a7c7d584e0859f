/**
 * The CA of a cluster that is only known by a join token: what answers shows its certificates, and one of them must have
 * the key whose hash the token carries. Nothing is sent, least of all the token, before that is certain.
 */
import { GantryError } from '../errors.ts';
import { caHashOf } from '../pki/certificate-facts.ts';
import { readPeerChain } from './peer-chain.ts';

/** PEM. `role` is that of the token, for the advice in the refusal. */
export async function pinnedAuthority(address: string, caHash: string, role: string): Promise<string> {
  const chain = await readPeerChain(address);
  const authority = chain.find((certificate) => caHashOf(certificate) === caHash);
  if (authority) return toPem(authority);
  throw new GantryError(
    'unauthenticated',
    `what answers at ${address} is not the cluster of this join token (its CA has another key); nothing was sent to it. ` +
      `Check the address, or create a token on that cluster with \`ctl token create --role ${role}\``,
  );
}

function toPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
