/**
 * What can be said of certificates that exist, with Node's own crypto alone: agents and clients need no more, and the
 * library that issues certificates costs 17 MB of memory.
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { GantryError } from '../errors.ts';

/** A certificate and its private key, both PEM. */
export interface Identity {
  readonly certPem: string;
  readonly keyPem: string;
}

/** SHA-256 of the certificate's SubjectPublicKeyInfo, base64url. Takes PEM or DER. */
export function caHashOf(certificate: string | Uint8Array): string {
  const { publicKey } = new X509Certificate(certificate);
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

/** What the holder of a certificate needs to know of it. Throws invalidArgument for anything that is no certificate. */
export interface CertificateFacts {
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly names: readonly string[];
}

export function readCertificate(certPem: string): CertificateFacts {
  const certificate = parse(certPem);
  const commonName = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  const names = (certificate.subjectAltName ?? '')
    .split(', ')
    .filter(Boolean)
    .map((entry) => entry.replace(/^(DNS|IP Address):/, ''));
  return {
    commonName,
    names,
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
  };
}

/** When two thirds of the certificate's life are over: the time to renew it. */
export function renewAtMs(certPem: string): number {
  const { notBeforeMs, notAfterMs } = readCertificate(certPem);
  return notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3;
}

/** Whether a server may show this certificate for all of these host names and addresses. */
export function certifies(certPem: string, names: readonly string[]): boolean {
  const certificate = parse(certPem);
  return names.every((name) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined);
}

/** Whether the pair belongs together and was signed by this CA. Lifetimes are not looked at. */
export function belongsTogether(caPem: string, { certPem, keyPem }: Identity): boolean {
  try {
    const ca = new X509Certificate(caPem);
    const certificate = new X509Certificate(certPem);
    return certificate.checkPrivateKey(createPrivateKey(keyPem)) && certificate.verify(ca.publicKey);
  } catch {
    return false;
  }
}

function parse(certPem: string): X509Certificate {
  try {
    return new X509Certificate(certPem);
  } catch (error) {
    throw new GantryError('invalidArgument', 'this is not a certificate in PEM form', { cause: error });
  }
}
