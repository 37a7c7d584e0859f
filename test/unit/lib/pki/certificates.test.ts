import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../../../lib/clock.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { belongsTogether, caHashOf, readCertificate, renewAtMs } from '../../../../lib/pki/certificate-facts.ts';
import { createAuthority, issueForRequest, issueIdentity, type Subject } from '../../../../lib/pki/certificates.ts';
import { createSigningRequest } from '../../../../lib/pki/signing-request.ts';
import { systemRandom } from '../../../../lib/random.ts';

const startMs = Date.UTC(2030, 0, 1);
const clock: Clock = { ...systemClock, nowMs: () => startMs };
const dependencies = { clock, random: systemRandom };
const node: Subject = {
  commonName: 'node:node-1',
  organization: 'node',
  names: ['node-1', '10.88.0.11'],
  lifetimeMs: 24 * 3_600_000,
  usages: ['server', 'client'],
};

describe('certificates', () => {
  test('an issued certificate carries what the issuer decided, and is signed by the CA', async () => {
    const ca = await createAuthority('gantry', dependencies);
    const { certPem, keyPem } = await issueIdentity(ca, node, dependencies);
    const certificate = new X509Certificate(certPem);
    expect(certificate.subject).toBe('O=node\nCN=node:node-1');
    expect(certificate.checkIssued(new X509Certificate(ca.certPem))).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkHost('node-1')).toBe('node-1');
    expect(certificate.checkIP('10.88.0.11')).toBe('10.88.0.11');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(belongsTogether(ca.certPem, { certPem, keyPem })).toBe(true);
  });

  test('a certificate holds from five minutes ago for its lifetime, and is renewed after two thirds', async () => {
    const ca = await createAuthority('gantry', dependencies);
    const { certPem } = await issueIdentity(ca, node, dependencies);
    const facts = readCertificate(certPem);
    expect(facts).toMatchObject({
      commonName: 'node:node-1',
      names: ['node-1', '10.88.0.11'],
      notBeforeMs: startMs - 300_000,
      notAfterMs: startMs + 24 * 3_600_000,
    });
    expect(renewAtMs(certPem)).toBeCloseTo(startMs - 300_000 + ((24 * 3_600_000 + 300_000) * 2) / 3, -1);
  });

  test('of a signing request only the key is used', async () => {
    const ca = await createAuthority('gantry', dependencies);
    const { requestPem, keyPem } = await createSigningRequest('control-plane:evil');
    const certPem = await issueForRequest(ca, node, requestPem, dependencies);
    expect(readCertificate(certPem).commonName).toBe('node:node-1');
    expect(belongsTogether(ca.certPem, { certPem, keyPem })).toBe(true);
  });

  test.each([
    ['text', 'hello', /not a PKCS#10 request/],
    ['empty', '', /not a PKCS#10 request/],
  ])('a signing request that is %s is refused with a reason', async (_, request, reason) => {
    const ca = await createAuthority('gantry', dependencies);
    await expect(issueForRequest(ca, node, request, dependencies)).rejects.toThrow(reason);
  });

  test('a request whose signature was made by another key is refused', async () => {
    const ca = await createAuthority('gantry', dependencies);
    const { requestPem } = await createSigningRequest('x');
    const bytes = Buffer.from(requestPem.replace(/-----[^-]+-----/g, ''), 'base64');
    bytes[bytes.length - 1]! ^= 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
    await expect(issueForRequest(ca, node, forged, dependencies)).rejects.toThrow(/refused/);
  });

  test('the CA hash is that of its key alone and differs between authorities', async () => {
    const [one, two] = await Promise.all([createAuthority('a', dependencies), createAuthority('a', dependencies)]);
    expect(one.caHash).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(caHashOf(new X509Certificate(one.certPem).raw)).toBe(one.caHash);
    expect(two.caHash).not.toBe(one.caHash);
    expect(belongsTogether(two.certPem, one)).toBe(false);
  });
});
