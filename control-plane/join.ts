/**
 * Joining as another replica of the control plane: asks one that runs for the cluster's keys, with a token, and writes
 * them down. Done once; a data folder that has them is left alone.
 */
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { GantryError, isGantryError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { storedCaHash, writeHandover } from '../lib/pki/handover.ts';
import { type JoinToken, parseJoinToken } from '../lib/pki/join-token.ts';
import { connect } from '../lib/rpc/client.ts';
import { pinnedAuthority } from '../lib/rpc/pinned-authority.ts';
import type { ControlPlaneJoinResponse } from '../proto/gen/types.ts';
import { writeMembership } from './etcd-membership.ts';
import type { ControlPlaneFlags } from './options.ts';

const defaultJoinPort = 6444;
const retryMs = 1000;
/** The first join restarts the other replica's etcd. */
const answerWithinMs = 60_000;

interface JoinParts {
  readonly clock: Clock;
  readonly log: Log;
}

/** Waits for a control plane that cannot be reached; a refusal is thrown. */
export async function joinControlPlane(
  flags: ControlPlaneFlags,
  address: string,
  { clock, log }: JoinParts,
  signal: AbortSignal,
): Promise<void> {
  if (flags.join.length === 0) return;
  const token = await readToken(flags);
  const stored = await storedCaHash(flags.dataDir);
  if (stored) return checkSameCluster(flags, stored, token);
  if (!token) {
    throw new GantryError(
      'failedPrecondition',
      'give --token or --token-file to join; `ctl token create --role control-plane` prints a token',
    );
  }
  for (let attempt = 0; ; attempt += 1) {
    const server = withPort(flags.join[attempt % flags.join.length]!);
    try {
      await joinAt(server, flags, address, token);
      log.info({ server }, 'joined the cluster as another control plane');
      return;
    } catch (error) {
      const passing = (['unavailable', 'deadlineExceeded', 'aborted', 'internal'] as const).some((code) =>
        isGantryError(error, code),
      );
      if (!passing) throw error;
      log.warn({ server, cause: messageOf(error) }, 'cannot join yet; trying again');
    }
    await clock.sleep(retryMs, signal);
  }
}

interface GivenToken extends JoinToken {
  readonly text: string;
}

async function readToken({ token, tokenFile }: ControlPlaneFlags): Promise<GivenToken | undefined> {
  const read = tokenFile === undefined ? '' : await readFile(tokenFile, 'utf8').catch(() => '');
  const text = (token ?? read).trim();
  return text === '' ? undefined : { ...parseJoinToken(text), text };
}

function checkSameCluster({ dataDir }: ControlPlaneFlags, stored: string, token: GivenToken | undefined): void {
  if (!token || token.caHash === stored) return;
  throw new GantryError(
    'failedPrecondition',
    `the data folder ${dataDir} belongs to another cluster than the join token; give this control plane a --data-dir of ` +
      'its own, or leave --join away to run that cluster',
  );
}

/** The join port when none is named. */
function withPort(server: string): string {
  if (/^(\[.*\]|[^:]+):\d+$/.test(server)) return server;
  return `${isIPv6(server) ? `[${server}]` : server}:${defaultJoinPort}`;
}

async function joinAt(server: string, flags: ControlPlaneFlags, address: string, token: GivenToken): Promise<void> {
  const caPem = await pinnedAuthority(server, token.caHash, 'control-plane');
  const connection = connect({ address: server, tls: { caPem } });
  try {
    const request = { token: token.text, name: flags.name, address };
    const options = { deadlineMs: answerWithinMs };
    await settle(await connection.client('ControlPlaneBootstrap').Join(request, options), caPem, flags);
  } finally {
    connection.close();
  }
}

/** Membership first: once the CA is on disk, this data folder has joined. */
async function settle(response: ControlPlaneJoinResponse, caPem: string, flags: ControlPlaneFlags): Promise<void> {
  checkSettings(response, flags);
  const { caKey = '', etcdCaCertificate = '', etcdCaKey = '', secretsKey, etcdEndpoints = [] } = response;
  const external = flags.etcdEndpoints.length > 0;
  if (external !== (etcdEndpoints.length === 0)) {
    throw new GantryError(
      'failedPrecondition',
      external
        ? 'the cluster runs its own etcd; leave --etcd-endpoints away'
        : 'the cluster uses an etcd that it does not run; give this control plane the same --etcd-endpoints',
    );
  }
  if (!external) await writeMembership(flags.dataDir, { endpoints: etcdEndpoints });
  await writeHandover(flags.dataDir, {
    authority: { certPem: caPem, keyPem: caKey },
    etcdAuthority: { certPem: etcdCaCertificate, keyPem: etcdCaKey },
    secretsKey: secretsKey ?? new Uint8Array(),
  });
}

/** Replicas that disagree on addresses would hand out the same ones twice, or wrong ones. */
function checkSettings(response: ControlPlaneJoinResponse, flags: ControlPlaneFlags): void {
  const pairs = [
    ['--cluster-cidr', flags.clusterCidr, response.clusterCIDR],
    ['--service-cidr', flags.serviceCidr, response.serviceCIDR],
    ['--dns-ip', flags.dnsIp, response.dnsIP],
    ['--zone', flags.zone, response.zone],
  ] as const;
  const differing = pairs.find(([, ours, theirs]) => ours !== theirs);
  if (!differing) return;
  const [flag, ours, theirs] = differing;
  throw new GantryError(
    'failedPrecondition',
    `${flag} is ${ours} here and ${theirs} in the cluster; give ${flag} ${theirs}`,
  );
}
