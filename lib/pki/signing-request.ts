/**
 * PKCS#10 certificate signing requests (RFC 2986) for EC P-256 keys, written out in DER by hand: an agent makes one a
 * day, which does not pay for a certificate library in its memory.
 */
import { generateKeyPair, sign } from 'node:crypto';
import { promisify } from 'node:util';

/** Tags of X.690. */
const tag = { integer: 0x02, bitString: 0x03, objectId: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31, attributes: 0xa0 };

/** 2.5.4.3 */
const commonNameId = Buffer.from([0x55, 0x04, 0x03]);
/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2 */
const ecdsaWithSha256Id = Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);

function der(type: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const bytes: number[] = [];
  for (let rest = body.length; rest > 0; rest >>= 8) bytes.unshift(rest & 0xff);
  const length = body.length < 0x80 ? [body.length] : [0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

/** A request for a new key. The subject is only for people who read the request. */
export async function createSigningRequest(commonName: string): Promise<{ requestPem: string; keyPem: string }> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const attribute = der(tag.sequence, der(tag.objectId, commonNameId), der(tag.utf8, Buffer.from(commonName)));
  const info = der(
    tag.sequence,
    der(tag.integer, Buffer.from([0])),
    der(tag.sequence, der(tag.set, attribute)),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(tag.attributes),
  );
  const algorithm = der(tag.sequence, der(tag.objectId, ecdsaWithSha256Id));
  // The first byte of a bit string counts unused bits.
  const signature = der(tag.bitString, Buffer.from([0]), sign('sha256', info, privateKey));
  return {
    requestPem: toPem('CERTIFICATE REQUEST', der(tag.sequence, info, algorithm, signature)),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function toPem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
