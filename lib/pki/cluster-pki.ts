/**
 * The control plane's keys and certificates under `<data-dir>/pki`, made at the first start and kept.
 *
 * Two authorities: the cluster's (`ca`), which everyone on the cluster trusts, and etcd's own (`etcd-ca`), which signs
 * nothing but etcd's server and the control plane's client: a node's certificate must not open etcd.
 *
 * The private key of an authority is never replaced: with a missing or foreign key the start fails and says so, because
 * a new authority would lock out every node and every client.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { GantryError } from '../errors.ts';
import type { Random } from '../random.ts';
import { controlPlaneServerName } from '../rpc/server-name.ts';
import type { TlsMaterial } from '../rpc/tls.ts';
import { etcdServerName } from '../store/etcd-client.ts';
import { belongsTogether, type Identity } from './certificate-facts.ts';
import {
  type Authority,
  authorityOf,
  createAuthority,
  issueIdentity,
  lifetimeMs,
  type Subject,
} from './certificates.ts';
import { readFileIfAny, writeFileAtomic } from './files.ts';
import { hostOf } from './host.ts';
import { isFresh, readIdentity, writeIdentity } from './identity-files.ts';

export interface PkiOptions {
  readonly dataDir: string;
  /** This control plane's name: the CN is `control-plane:NAME`. */
  readonly name: string;
  /** host:port addresses at which clients and nodes reach the API; the first goes into admin.conf as `server`. */
  readonly apiAddresses: readonly string[];
  /** Those of the other replicas, as far as is known: clients may turn to them as well. */
  readonly otherServers?: () => readonly string[];
  /** Hosts at which etcd is reached, beside loopback. */
  readonly etcdHosts?: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

export interface ClusterPki {
  readonly authority: Authority;
  /** For the API and join ports, and, as a client, towards the agents. */
  readonly server: Identity;
  readonly admin: Identity;
  readonly etcd: {
    readonly authority: Authority;
    readonly caPem: string;
    readonly client: Identity;
    /** Paths for etcd's own flags. */
    readonly files: { readonly ca: string; readonly serverCert: string; readonly serverKey: string };
  };
  /** 32 bytes for AES-256-GCM of Secrets at rest. */
  readonly secretsKey: Uint8Array;
  /**
   * Issues what two thirds of its life have passed by, and writes admin.conf again; call it now and then, and `replace`
   * the server's TLS.
   */
  readonly renew: () => Promise<ClusterPki>;
}

/** For lib/rpc: the certificate is followed by its CA, so that a joining node can compare the CA with its token. */
export function tlsMaterial(authority: Authority, { certPem, keyPem }: Identity): TlsMaterial {
  return { caPem: authority.certPem, certPem: certPem + authority.certPem, keyPem };
}

export const pkiFolder = (dataDir: string): string => join(dataDir, 'pki');

export function adminConfPath(dataDir: string): string {
  return join(dataDir, 'admin.conf');
}

export async function loadOrCreatePki(options: PkiOptions): Promise<ClusterPki> {
  const { dataDir, name, apiAddresses, etcdHosts = [] } = options;
  const folder = pkiFolder(dataDir);
  const authority = await loadOrCreateAuthority(folder, 'ca', 'gantry', options);
  const etcdAuthority = await loadOrCreateAuthority(folder, 'etcd-ca', 'gantry-etcd', options);
  const identity = (ca: Authority, file: string, subject: Subject) => loadOrIssue(folder, file, ca, subject, options);

  const hosts = apiAddresses.map(hostOf);
  const names = [controlPlaneServerName, ...hosts, ...loopback];
  const server = await identity(authority, 'server', controlPlane(name, names));
  const admin = await identity(authority, 'admin', user('admin', 'admin'));
  // etcd 3.4 dials itself with its server certificate, which therefore needs both usages.
  await identity(etcdAuthority, 'etcd-server', controlPlane('etcd', [etcdServerName, ...etcdHosts, ...loopback]));
  const etcdClient = await identity(etcdAuthority, 'etcd-client', controlPlane(name, []));
  const secretsKey = await loadOrCreateSecretsKey(folder, options.random);
  await writeAdminConf(options, authority.certPem, admin);
  return {
    authority,
    server,
    admin,
    etcd: {
      authority: etcdAuthority,
      caPem: etcdAuthority.certPem,
      client: etcdClient,
      files: {
        ca: join(folder, 'etcd-ca.crt'),
        serverCert: join(folder, 'etcd-server.crt'),
        serverKey: join(folder, 'etcd-server.key'),
      },
    },
    secretsKey,
    renew: () => loadOrCreatePki(options),
  };
}

const loopback = ['localhost', '127.0.0.1', '::1'];

function controlPlane(name: string, names: readonly string[]): Subject {
  return {
    commonName: `control-plane:${name}`,
    organization: 'control-plane',
    names: [...new Set(names)].filter((entry) => entry !== '0.0.0.0' && entry !== '::'),
    lifetimeMs: lifetimeMs.server,
    usages: ['server', 'client'],
  };
}

export type UserRole = 'admin' | 'editor' | 'viewer';

export function user(name: string, role: UserRole): Subject {
  return { commonName: name, organization: role, names: [], lifetimeMs: lifetimeMs.user, usages: ['client'] };
}

async function loadOrCreateAuthority(
  folder: string,
  file: string,
  commonName: string,
  options: PkiOptions,
): Promise<Authority> {
  const certificate = await readFileIfAny(join(folder, `${file}.crt`));
  if (!certificate) {
    // A key without its certificate has signed nothing yet: the certificate is written before anything is issued.
    const created = await createAuthority(commonName, options);
    await writeIdentity(folder, file, created);
    return created;
  }
  const identity = await readIdentity(folder, file);
  if (!identity || !belongsTogether(identity.certPem, identity)) {
    throw new GantryError(
      'failedPrecondition',
      `${join(folder, `${file}.key`)} is missing or is not the key of ${file}.crt; restore both files from a backup ` +
        'of this data folder (a new authority would lock out every node and client)',
    );
  }
  return authorityOf(identity);
}

async function loadOrIssue(
  folder: string,
  file: string,
  authority: Authority,
  subject: Subject,
  options: PkiOptions,
): Promise<Identity> {
  const stored = await readIdentity(folder, file);
  if (stored && isFresh(authority.certPem, stored, subject.names, options.clock)) return stored;
  const issued = await issueIdentity(authority, subject, options);
  await writeIdentity(folder, file, issued);
  return issued;
}

export const secretsKeyBytes = 32;
const secretsKeyPath = (folder: string): string => join(folder, 'secrets.key');

export async function writeSecretsKey(folder: string, key: Uint8Array): Promise<void> {
  await writeFileAtomic(secretsKeyPath(folder), Buffer.from(key).toString('base64'));
}

async function loadOrCreateSecretsKey(folder: string, random: Random): Promise<Uint8Array> {
  const path = secretsKeyPath(folder);
  const stored = await readFileIfAny(path);
  if (!stored) {
    const created = random.bytes(secretsKeyBytes);
    await writeSecretsKey(folder, created);
    return created;
  }
  const key = new Uint8Array(Buffer.from(stored.toString(), 'base64'));
  if (key.length === secretsKeyBytes) return key;
  throw new GantryError(
    'failedPrecondition',
    `${path} does not hold a ${secretsKeyBytes}-byte key in base64; restore it from a backup, without it stored ` +
      'Secrets cannot be read',
  );
}

/** What ctl reads: JSON, which is YAML too. */
async function writeAdminConf(options: PkiOptions, caPem: string, admin: Identity): Promise<void> {
  const { dataDir, apiAddresses, otherServers = () => [] } = options;
  const config = {
    server: apiAddresses[0],
    servers: [...new Set([...apiAddresses, ...otherServers()])],
    caCertificate: caPem,
    clientCertificate: admin.certPem,
    clientKey: admin.keyPem,
    namespace: 'default',
  };
  const text = `${JSON.stringify(config, null, 2)}\n`;
  const path = adminConfPath(dataDir);
  if ((await readFileIfAny(path))?.toString() !== text) await writeFileAtomic(path, text);
}

/** Of an admin.conf from before; empty when there is none. */
export async function serversInAdminConf(dataDir: string): Promise<readonly string[]> {
  try {
    return (JSON.parse(await readFile(adminConfPath(dataDir), 'utf8')) as { servers: string[] }).servers;
  } catch {
    return [];
  }
}
