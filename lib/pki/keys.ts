/** EC P-256 keys as PEM and CryptoKey, and the certificate library bound to Node's own webcrypto. */
import 'reflect-metadata'; // what @peculiar/x509 needs before it loads
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { GantryError } from '../errors.ts';

x509.cryptoProvider.set(webcrypto as Crypto);

export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;

export { x509 };

export async function createKeyPair(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

/** PKCS#8 PEM. */
export async function privateKeyToPem(key: CryptoKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(bytes, x509.PemConverter.PrivateKeyTag)}\n`;
}

export async function privateKeyFromPem(pem: string): Promise<CryptoKey> {
  try {
    const bytes = x509.PemConverter.decodeFirst(pem);
    return (await webcrypto.subtle.importKey('pkcs8', bytes, keyAlgorithm, true, ['sign'])) as CryptoKey;
  } catch (error) {
    throw new GantryError('invalidArgument', 'the private key is not an EC P-256 key in PKCS#8 PEM form', {
      cause: error,
    });
  }
}
