/**
 * The node's identity: asked for with a token at the first start, read from `<data-dir>/pki` at later ones, renewed
 * when two thirds of a certificate's life are over.
 *
 * Joining tells the token to nobody but the cluster it belongs to: the server's certificates are looked at first, and
 * only a CA whose key has the hash that the token carries is trusted with it.
 */
import { join } from 'node:path';
import { type Clock, timestamp } from '../../lib/clock.ts';
import { type CodeName, GantryError, isGantryError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { belongsTogether, caHashOf, readCertificate, renewAtMs } from '../../lib/pki/certificate-facts.ts';
import { readFileIfAny, writeFileAtomic } from '../../lib/pki/files.ts';
import { hostOf } from '../../lib/pki/host.ts';
import { parseJoinToken } from '../../lib/pki/join-token.ts';
import { createSigningRequest } from '../../lib/pki/signing-request.ts';
import type { Random } from '../../lib/random.ts';
import { connect } from '../../lib/rpc/client.ts';
import { pinnedAuthority } from '../../lib/rpc/pinned-authority.ts';
import { ReloadableTls, type TlsMaterial } from '../../lib/rpc/tls.ts';
import type { JoinResponse } from '../../proto/gen/types.ts';

export const defaultJoinPort = 6444;

export interface JoinOptions {
  readonly dataDir: string;
  readonly nodeName: string;
  readonly machineID: string;
  /** Only needed the first time, and when the certificate has run out. */
  readonly token?: string;
  /** host:port of every control plane's API. */
  readonly servers: readonly string[];
  readonly joinPort?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const firstBackoffMs = 200;
const longestBackoffMs = 5_000;
/** However far our clock is from the control plane's. */
const shortestRenewalMs = 600_000;

/**
 * Waits for a control plane that cannot be reached; a refusal is thrown. With an expired certificate and no token the
 * expired identity is returned: what runs on the node goes on, and every attempt to connect says what to do.
 */
export async function obtainIdentity(options: JoinOptions, signal: AbortSignal): Promise<ReloadableTls> {
  const { nodeName, token, clock, log } = options;
  const stored = await readIdentity(options);
  if (stored && token && caHashOf(stored.caPem) !== parseJoinToken(token).caHash) {
    throw new GantryError(
      'failedPrecondition',
      `the data folder ${options.dataDir} belongs to another cluster than the join token; give the agent a --data-dir of ` +
        'its own for this cluster',
    );
  }
  const notAfterMs = stored ? readCertificate(stored.certPem).notAfterMs : 0;
  if (stored && notAfterMs > clock.nowMs()) return new ReloadableTls(stored);
  if (token) return new ReloadableTls(await joinUntilAnswered({ ...options, token }, signal));
  const cure = 'start the agent with --token; `ctl token create --role node` prints one';
  if (!stored) throw new GantryError('failedPrecondition', `node ${nodeName} has not joined a cluster yet; ${cure}`);
  log.error({ node: nodeName }, `the node's certificate expired at ${timestamp(notAfterMs)}; ${cure}`);
  return new ReloadableTls(stored);
}

async function joinUntilAnswered(options: JoinOptions & { token: string }, signal: AbortSignal): Promise<TlsMaterial> {
  const { servers, joinPort = defaultJoinPort, clock, random, log } = options;
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted();
    const address = joinAddress(servers[attempt % servers.length]!, joinPort);
    try {
      const material = await joinAt(address, options);
      await writeIdentity(options, material);
      log.info({ node: options.nodeName, server: address }, 'joined the cluster');
      return material;
    } catch (error) {
      if (!isPassing(error)) throw error;
      log.warn({ server: address, error: messageOf(error) }, 'cannot join yet; trying again');
    }
    const backoffMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(attempt, 10));
    await clock.sleep(backoffMs * (0.5 + random.next() / 2), signal);
  }
}

function isPassing(error: unknown): boolean {
  const passing: readonly CodeName[] = ['unavailable', 'deadlineExceeded', 'aborted', 'internal'];
  return passing.some((code) => isGantryError(error, code));
}

function joinAddress(server: string, joinPort: number): string {
  const host = hostOf(server);
  return host.includes(':') ? `[${host}]:${joinPort}` : `${host}:${joinPort}`;
}

async function joinAt(address: string, { nodeName, machineID, token }: JoinOptions & { token: string }) {
  const { caHash } = parseJoinToken(token);
  const caPem = await pinnedAuthority(address, caHash, 'node');
  const { requestPem, keyPem } = await createSigningRequest(`node:${nodeName}`);
  const connection = connect({ address, tls: { caPem } });
  try {
    const request = { token: token.trim(), nodeName, machineID, certificateSigningRequest: requestPem };
    return materialOf(await connection.client('Bootstrap').Join(request), caPem, keyPem);
  } finally {
    connection.close();
  }
}

/** The CA stays the one that was pinned, whatever the response says. */
function materialOf({ certificate = '' }: JoinResponse, caPem: string, keyPem: string): TlsMaterial {
  if (!belongsTogether(caPem, { certPem: certificate, keyPem })) {
    throw new GantryError('internal', 'the control plane answered with a certificate that is not for this key');
  }
  return { caPem, certPem: certificate, keyPem };
}

/** Renews until the signal is aborted: at two thirds of life, and again and again when it does not succeed. */
export async function keepRenewed(tls: ReloadableTls, options: JoinOptions, signal: AbortSignal): Promise<void> {
  const { clock, random, log, servers } = options;
  let failures = 0;
  let restMs = 0;
  while (!signal.aborted) {
    const dueMs = renewAtMs(tls.material.certPem) - clock.nowMs();
    const retryMs = failures === 0 ? restMs : Math.min(600_000, 5_000 * 2 ** Math.min(failures, 10));
    await clock.sleep(Math.max(0, dueMs, retryMs * (0.5 + random.next() / 2)), signal).catch(() => {});
    if (signal.aborted) return;
    if (renewAtMs(tls.material.certPem) > clock.nowMs()) continue; // a timer cannot sleep for longer than 24 days
    const server = servers[failures % servers.length]!;
    try {
      tls.replace(await renewAt(server, tls, options));
      failures = 0;
      restMs = shortestRenewalMs;
      log.info({ until: timestamp(readCertificate(tls.material.certPem).notAfterMs) }, 'certificate renewed');
    } catch (error) {
      failures += 1;
      log.warn({ server, error: messageOf(error) }, 'the certificate could not be renewed; trying again');
    }
  }
}

async function renewAt(address: string, tls: ReloadableTls, options: JoinOptions): Promise<TlsMaterial> {
  const { requestPem, keyPem } = await createSigningRequest(`node:${options.nodeName}`);
  const connection = connect({ address, tls });
  try {
    const response = await connection.client('NodeSession').Renew({ certificateSigningRequest: requestPem });
    const material = materialOf(response, tls.material.caPem, keyPem);
    await writeIdentity(options, material);
    return material;
  } finally {
    connection.close();
  }
}

/** Key, certificate and CA in one file, so that a crash in the middle of a renewal leaves the old set whole. */
export const identityFile = ({ dataDir }: { readonly dataDir: string }): string => join(dataDir, 'pki', 'node.pem');

function writeIdentity(options: JoinOptions, { keyPem, certPem, caPem }: TlsMaterial): Promise<void> {
  return writeFileAtomic(identityFile(options), keyPem + certPem + caPem);
}

async function readIdentity(options: JoinOptions): Promise<TlsMaterial | undefined> {
  const { nodeName, log } = options;
  const file = identityFile(options);
  const text = (await readFileIfAny(file))?.toString() ?? '';
  const [keyPem, certPem, caPem] = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];
  if (!keyPem || !certPem || !caPem || !belongsTogether(caPem, { certPem, keyPem })) {
    if (text !== '') log.error({ file }, 'the stored identity is damaged and is ignored; the node must join again');
    return undefined;
  }
  const { commonName } = readCertificate(certPem);
  if (commonName === `node:${nodeName}`) return { caPem, certPem, keyPem };
  throw new GantryError(
    'failedPrecondition',
    `this data folder belongs to ${commonName}, not to node:${nodeName}; give the agent its former --name, or another --data-dir`,
  );
}
