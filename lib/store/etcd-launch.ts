/** What an etcd is started with, and the files it is given: options of etcd 3.4. */
import { copyFile, open, readFile, rename, stat, truncate } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join, resolve } from 'node:path';

export interface EtcdServerOptions {
  readonly dataDir: string;
  /** This member's name in its cluster. */
  readonly name: string;
  /** Address for clients and peers. Default 127.0.0.1. */
  readonly host?: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /**
   * Paths of PEM files. etcd presents the certificate to its clients and its peers: it needs the server and the client
   * purpose, the name `etcdServerName`, and with several members `host`. Clients must present one of the same CA.
   */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
  /** `name=peer-url` of every member. Default: this one alone. */
  readonly initialCluster?: readonly string[];
  /** The cluster is there already, and this member was added to it; read only at its first start. Default false. */
  readonly joins?: boolean;
  /** There are other members, or there will be: it waits for them as long as machines and networks need. Default false. */
  readonly shared?: boolean;
  /** Default 2 GiB. */
  readonly quotaBytes?: number;
  /** Default 4,096. */
  readonly maxTxnOps?: number;
  /** Default 4 MiB. */
  readonly maxRequestBytes?: number;
  /** How much history etcd keeps, as its --auto-compaction-retention ("10m"). Default: it never compacts by itself. */
  readonly autoCompaction?: string;
  /** How long the first start may take until etcd answers. Default 30,000 ms. */
  readonly startTimeoutMs?: number;
}

const longestLogBytes = 16 * 1024 * 1024;

export const hostOf = (options: EtcdServerOptions): string => options.host ?? '127.0.0.1';
export const clientAddressOf = (options: EtcdServerOptions): string => address(hostOf(options), options.clientPort);
export const peerUrlOf = (options: EtcdServerOptions): string =>
  `${options.tls ? 'https' : 'http'}://${address(hostOf(options), options.peerPort)}`;
const address = (host: string, port: number): string => (isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`);
export const logPath = (dataDir: string): string => join(dataDir, 'etcd.log');

export function etcdArgv(options: EtcdServerOptions): string[] {
  const { name, tls } = options;
  const scheme = tls ? 'https' : 'http';
  const clientUrl = `${scheme}://${clientAddressOf(options)}`;
  const peerUrl = peerUrlOf(options);
  const { initialCluster = [`${name}=${peerUrl}`], quotaBytes = 2 * 1024 ** 3 } = options;
  const flags = {
    name,
    'data-dir': resolve(options.dataDir, 'data'),
    'listen-client-urls': clientUrl,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': initialCluster.join(','),
    'quota-backend-bytes': `${quotaBytes}`,
    'max-txn-ops': `${options.maxTxnOps ?? 4096}`,
    'max-request-bytes': `${options.maxRequestBytes ?? 4 * 1024 ** 2}`,
    'grpc-keepalive-min-time': '1s', // our clients ask every 5 s and must not be taken for a flood
    logger: 'zap',
    'log-outputs': 'stderr',
    'log-level': 'warn',
    ...(options.joins && { 'initial-cluster-state': 'existing' }),
    // A single member has nobody to lose an election to: it need not wait long before it leads again after a restart.
    // Of several, one that was away asks the others first, and does not depose a leader that they still hear.
    ...(!options.shared && initialCluster.length === 1
      ? { 'heartbeat-interval': '50', 'election-timeout': '250' }
      : { 'pre-vote': 'true' }),
    ...(options.autoCompaction && { 'auto-compaction-retention': options.autoCompaction }),
    ...(tls && {
      'client-cert-auth': 'true',
      'trusted-ca-file': resolve(tls.caFile),
      'cert-file': resolve(tls.certFile),
      'key-file': resolve(tls.keyFile),
      'peer-client-cert-auth': 'true',
      'peer-trusted-ca-file': resolve(tls.caFile),
      'peer-cert-file': resolve(tls.certFile),
      'peer-key-file': resolve(tls.keyFile),
    }),
  };
  return ['etcd', ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)];
}

export async function readTls(
  files: EtcdServerOptions['tls'],
): Promise<{ ca: Buffer; cert: Buffer; key: Buffer } | undefined> {
  if (!files) return undefined;
  const [ca, cert, key] = await Promise.all(
    [files.caFile, files.certFile, files.keyFile].map((path) => readFile(path)),
  );
  return { ca: ca!, cert: cert!, key: key! };
}

/** Appends; a log that has grown long becomes `etcd.log.1`, of which there is one. */
export async function openLog(dataDir: string): Promise<Awaited<ReturnType<typeof open>>> {
  const path = logPath(dataDir);
  let file = await open(path, 'a', 0o600);
  if ((await file.stat()).size > longestLogBytes) {
    await file.close();
    await rename(path, `${path}.1`);
    file = await open(path, 'a', 0o600);
  }
  return file;
}

/** The same while etcd runs: what is written into is kept as `etcd.log.1` and emptied, since etcd holds it open. */
export async function shortenLog(dataDir: string, longestBytes = longestLogBytes): Promise<void> {
  const path = logPath(dataDir);
  if ((await stat(path)).size <= longestBytes) return;
  await copyFile(path, `${path}.1`);
  await truncate(path);
}

export async function lastLogLine(dataDir: string): Promise<string> {
  const file = await open(logPath(dataDir), 'r');
  try {
    const { size } = await file.stat();
    const length = Math.min(size, 4096);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8').trim().split('\n').at(-1) ?? '';
  } finally {
    await file.close();
  }
}
