import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../../../lib/clock.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { readCertificate } from '../../../../lib/pki/certificate-facts.ts';
import { adminConfPath, loadOrCreatePki, type PkiOptions } from '../../../../lib/pki/cluster-pki.ts';
import { hostOf } from '../../../../lib/pki/host.ts';
import { systemRandom } from '../../../../lib/random.ts';

let dataDir: string;
let nowMs = Date.UTC(2030, 0, 1);
const clock: Clock = { ...systemClock, nowMs: () => nowMs };

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gantry-pki-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

const options = (changes: Partial<PkiOptions> = {}): PkiOptions => ({
  dataDir,
  name: 'cp-1',
  apiAddresses: ['10.88.0.2:6443'],
  clock,
  random: systemRandom,
  ...changes,
});

describe('the control plane pki', () => {
  test('is made once and read back the same', async () => {
    const first = await loadOrCreatePki(options());
    const second = await loadOrCreatePki(options());
    expect({ ...second, renew: 0 }).toEqual({ ...first, renew: 0 });
    expect(first.secretsKey).toHaveLength(32);
    expect(readCertificate(first.server.certPem).names).toContain('10.88.0.2');
  });

  test('keys and admin.conf are for root alone, and nothing half-written stays', async () => {
    await loadOrCreatePki(options());
    const files = await readdir(join(dataDir, 'pki'));
    expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    for (const name of files.filter((entry) => entry.endsWith('.key'))) {
      expect((await stat(join(dataDir, 'pki', name))).mode & 0o777).toBe(0o600);
    }
    expect((await stat(adminConfPath(dataDir))).mode & 0o777).toBe(0o600);
  });

  test('admin.conf names the server and carries a client certificate', async () => {
    const pki = await loadOrCreatePki(options());
    const config = JSON.parse(await readFile(adminConfPath(dataDir), 'utf8'));
    expect(config).toEqual({
      server: '10.88.0.2:6443',
      servers: ['10.88.0.2:6443'],
      caCertificate: pki.authority.certPem,
      clientCertificate: pki.admin.certPem,
      clientKey: pki.admin.keyPem,
      namespace: 'default',
    });
  });

  test('a new address means a new server certificate from the same CA', async () => {
    const first = await loadOrCreatePki(options());
    const moved = await loadOrCreatePki(options({ apiAddresses: ['10.88.0.9:6443', 'api.example:6443'] }));
    expect(moved.authority).toEqual(first.authority);
    expect(readCertificate(moved.server.certPem).names).toEqual(
      expect.arrayContaining(['10.88.0.9', 'api.example', '127.0.0.1']),
    );
    expect(moved.admin).toEqual(first.admin);
  });

  test('certificates are renewed after two thirds of their life', async () => {
    const first = await loadOrCreatePki(options());
    const beforeMs = nowMs;
    nowMs += 250 * 24 * 3_600_000;
    const later = await first.renew();
    nowMs = beforeMs;
    expect(later.server.certPem).not.toBe(first.server.certPem);
    expect(later.authority).toEqual(first.authority);
  });

  test('a pair cut short by a crash is issued again', async () => {
    const first = await loadOrCreatePki(options());
    await writeFile(join(dataDir, 'pki', 'server.key'), first.admin.keyPem);
    const again = await loadOrCreatePki(options());
    expect(again.server.certPem).not.toBe(first.server.certPem);
  });

  test('a lost CA key is an error that says what to restore, not a new CA', async () => {
    await loadOrCreatePki(options());
    await rm(join(dataDir, 'pki', 'ca.key'));
    await expect(loadOrCreatePki(options())).rejects.toThrow(/ca\.key is missing.*backup/);
  });

  test('a damaged secrets key is an error, not a new key', async () => {
    await loadOrCreatePki(options());
    await writeFile(join(dataDir, 'pki', 'secrets.key'), 'short');
    await expect(loadOrCreatePki(options())).rejects.toThrow(/32-byte key/);
  });

  test('nothing but etcd and its client is signed by the CA of etcd', async () => {
    const pki = await loadOrCreatePki(options());
    expect(pki.etcd.caPem).not.toBe(pki.authority.certPem);
    expect(readCertificate(await readFile(pki.etcd.files.serverCert, 'utf8')).names).toContain('127.0.0.1');
  });
});

test.each([
  ['10.0.0.1:6443', '10.0.0.1'],
  ['[fd00::1]:6443', 'fd00::1'],
  ['fd00::1', 'fd00::1'],
  ['api.example:6443', 'api.example'],
  ['api.example', 'api.example'],
])('the host of %s is %s', (address, host) => expect(hostOf(address)).toBe(host));
