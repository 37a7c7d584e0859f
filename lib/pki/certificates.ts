/**
 * Certificates of a cluster's own certificate authority. The issuer alone decides identity, role, names and lifetime;
 * of a signing request only the public key is used, after its signature has shown that the sender holds the key.
 *
 * Identity in the subject: CN names who (`node:NAME`, `control-plane:NAME`, a user's name), O the role (`node`,
 * `control-plane`, `admin`, `editor`, `viewer`).
 */
import type { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import type { Clock } from '../clock.ts';
import { GantryError } from '../errors.ts';
import type { Random } from '../random.ts';
import { caHashOf, type Identity } from './certificate-facts.ts';
import { createKeyPair, keyAlgorithm, privateKeyFromPem, privateKeyToPem, signingAlgorithm, x509 } from './keys.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export const lifetimeMs = { ca: 3650 * dayMs, node: 24 * hourMs, server: 365 * dayMs, user: 365 * dayMs } as const;

/** Certificates begin to hold this long ago, so that a clock that is a little slow accepts them. */
const notBeforeSkewMs = 5 * 60_000;

export interface Authority extends Identity {
  /** base64url of the SHA-256 of the CA's SubjectPublicKeyInfo: what a join token pins. */
  readonly caHash: string;
}

export interface Subject {
  readonly commonName: string;
  readonly organization: string;
  /** Host names and IP addresses the holder may serve under. */
  readonly names: readonly string[];
  readonly lifetimeMs: number;
  readonly usages: readonly ('server' | 'client')[];
}

export interface IssueDependencies {
  readonly clock: Clock;
  readonly random: Random;
}

export async function createAuthority(commonName: string, { clock, random }: IssueDependencies): Promise<Authority> {
  const keys = await createKeyPair();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(random),
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm,
    ...validity(clock, lifetimeMs.ca),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return authorityOf({ certPem: `${certificate.toString('pem')}\n`, keyPem: await privateKeyToPem(keys.privateKey) });
}

export function authorityOf(identity: Identity): Authority {
  return { ...identity, caHash: caHashOf(identity.certPem) };
}

/** A new key and a certificate for it. */
export async function issueIdentity(
  authority: Authority,
  subject: Subject,
  dependencies: IssueDependencies,
): Promise<Identity> {
  const keys = await createKeyPair();
  const certPem = await issue(authority, subject, keys.publicKey, dependencies);
  return { certPem, keyPem: await privateKeyToPem(keys.privateKey) };
}

/** A certificate for the public key of a signing request; everything else the request says is ignored. */
export async function issueForRequest(
  authority: Authority,
  subject: Subject,
  requestPem: string,
  dependencies: IssueDependencies,
): Promise<string> {
  return issue(authority, subject, await publicKeyOfRequest(requestPem), dependencies);
}

async function publicKeyOfRequest(requestPem: string): Promise<x509.PublicKey> {
  let reason = 'its signature does not match its key';
  try {
    const request = new x509.Pkcs10CertificateRequest(requestPem);
    const { name, namedCurve } = request.publicKey.algorithm as webcrypto.EcKeyAlgorithm;
    if (name !== keyAlgorithm.name || namedCurve !== keyAlgorithm.namedCurve) reason = 'its key is not EC P-256';
    else if (await request.verify()) return request.publicKey;
  } catch {
    reason = 'it is not a PKCS#10 request in PEM form';
  }
  throw new GantryError('invalidArgument', `the certificate signing request is refused: ${reason}`);
}

interface Signer {
  readonly issuer: x509.Name;
  readonly signingKey: webcrypto.CryptoKey;
  readonly keyIdentifier: x509.AuthorityKeyIdentifierExtension;
}

/** Thousands of nodes may join at once: the authority is read for the first. */
const signers = new WeakMap<Authority, Promise<Signer>>();

function signerOf(authority: Authority): Promise<Signer> {
  const known = signers.get(authority) ?? readSigner(authority);
  signers.set(authority, known);
  return known;
}

async function readSigner({ certPem, keyPem }: Authority): Promise<Signer> {
  const ca = new x509.X509Certificate(certPem);
  const keyIdentifier = await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey);
  return { issuer: ca.subjectName, signingKey: await privateKeyFromPem(keyPem), keyIdentifier };
}

async function issue(
  authority: Authority,
  subject: Subject,
  publicKey: x509.PublicKeyType,
  { clock, random }: IssueDependencies,
): Promise<string> {
  const { issuer, signingKey, keyIdentifier } = await signerOf(authority);
  const usages = subject.usages.map((usage) => x509.ExtendedKeyUsage[`${usage}Auth`]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: [{ O: [subject.organization] }, { CN: [subject.commonName] }],
    issuer,
    publicKey,
    signingKey,
    signingAlgorithm,
    ...validity(clock, subject.lifetimeMs),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages),
      ...(subject.names.length > 0 ? [new x509.SubjectAlternativeNameExtension(subject.names.map(generalName))] : []),
      keyIdentifier,
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

function generalName(name: string): { type: 'ip' | 'dns'; value: string } {
  return { type: isIP(name) ? 'ip' : 'dns', value: name };
}

function validity(clock: Clock, lifetime: number): { notBefore: Date; notAfter: Date } {
  const now = clock.nowMs();
  return { notBefore: new Date(now - notBeforeSkewMs), notAfter: new Date(now + lifetime) };
}

/** 16 bytes, positive (RFC 5280 4.1.2.2). */
function serialNumber(random: Random): string {
  const bytes = random.bytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
