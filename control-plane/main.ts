/**
 * The control plane process: reads its flags, builds the adapters, starts a replica and serves it.
 *
 * Killed, it leaves nothing behind that its next start would not find and take up: etcd goes on and is adopted, leadership
 * is taken back at once, nodes reconnect. SIGTERM and SIGINT end everything in order within five seconds.
 */
import { readFileSync } from 'node:fs';
import { type Clock, systemClock } from '../lib/clock.ts';
import { isGantryError, messageOf } from '../lib/errors.ts';
import { createLog, type Log } from '../lib/log.ts';
import { createKeyring } from '../lib/model/stored.ts';
import { type ClusterPki, loadOrCreatePki, serversInAdminConf, tlsMaterial } from '../lib/pki/cluster-pki.ts';
import { systemExec } from '../lib/process.ts';
import { systemRandom } from '../lib/random.ts';
import { releaseClosedStreams } from '../lib/rpc/closed-streams.ts';
import { requireFreePort } from '../lib/rpc/free-port.ts';
import { startServer } from '../lib/rpc/server.ts';
import type { RunningServer, ServerOptions } from '../lib/rpc/server-options.ts';
import { startThreadedServer } from '../lib/rpc/threaded-server.ts';
import { ReloadableTls } from '../lib/rpc/tls.ts';
import { authorize } from './api/roles.ts';
import { collectRarely } from './collector.ts';
import { type ControlPlane, type ControlPlaneParts, startControlPlane } from './control-plane.ts';
import { type ClusterDnsOptions, startClusterDns } from './dns/cluster-dns.ts';
import { createResolver } from './dns/resolver.ts';
import { type Etcd, startEtcd } from './etcd.ts';
import { joinControlPlane } from './join.ts';
import { type ControlPlaneFlags, parseFlags } from './options.ts';
import { markRemoved, refuseIfRemoved, removedError } from './removal.ts';
import { addressesOf, announce, onRemoved, onReplicasChange } from './replicas.ts';
import { controlPlaneBootstrap } from './session/control-plane-join.ts';
import { createJoinTokens } from './session/tokens.ts';
import type { ClusterState } from './state/cluster-state.ts';
import { sealedCodec } from './state/object-codec.ts';

const stopWithinMs = 5000;
const serverGraceMs = 500;
const renewEveryMs = 3_600_000;
const version = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version as string;

/** What must be ended again, the last started first. */
type Undo = () => Promise<unknown>;

/** Resolves when the control plane is ready; `finished` ends with what ends it from within. */
async function run(
  flags: ControlPlaneFlags,
  log: Log,
  undo: Undo[],
  stopping: AbortSignal,
): Promise<{ readonly finished: Promise<void> }> {
  const { dataDir, name } = flags;
  refuseIfRemoved(dataDir);
  const clock = systemClock;
  const random = systemRandom;
  await requireFreePort(flags.listen, '--listen');
  await requireFreePort(flags.joinListen, '--join-listen');
  await requireFreePort(flags.dnsListen, '--dns-listen');

  const address = `${flags.advertiseAddress}:${portOf(flags.listen)}`;
  await joinControlPlane(flags, address, { clock, log }, stopping);
  let otherServers = (await serversInAdminConf(flags.dataDir)).filter((server) => server !== address);
  const pki = await loadOrCreatePki({
    dataDir: flags.dataDir,
    name: flags.name,
    apiAddresses: [address],
    otherServers: () => otherServers,
    etcdHosts: [flags.advertiseAddress],
    clock,
    random,
  });
  const tls = new ReloadableTls(tlsMaterial(pki.authority, pki.server));
  const removed = Promise.withResolvers<void>();
  removed.promise.catch(() => {}); // until somebody waits for it
  const end = (): Promise<void> =>
    markRemoved(dataDir, clock.nowMs()).then(() => removed.reject(removedError(dataDir)), removed.reject);
  const etcdParts = { exec: systemExec(), clock, log: log.child({ component: 'etcd' }), onRemoved: end };
  const etcd = await startEtcd(flags, pki, etcdParts).catch(async (error: unknown) => {
    if (!isGantryError(error, 'notFound')) throw error;
    await end();
    throw removedError(dataDir);
  });
  undo.push(() => etcd.stop());

  let api: RunningServer | undefined;
  const drainInbox = async (): Promise<void> => api?.drained();
  const controlPlane = await startReplica(flags, address, { pki, etcd, tls, log, drainInbox }, stopping);
  undo.push(() => controlPlane.stop());
  api = await serve(flags, controlPlane, joinServices(flags, controlPlane, { pki, etcd, tls, log }), tls, log, undo);
  const updateServers = (): void => {
    otherServers = addressesOf(controlPlane.state, { except: name });
    pki.renew().catch((error: unknown) => log.warn({ cause: messageOf(error) }, 'cannot write admin.conf'));
  };
  updateServers();
  onReplicasChange(controlPlane.state, updateServers);
  onRemoved(controlPlane.state, name, end);
  void announce({ name, address }, { store: etcd.store, clock, log, signal: stopping });
  keepCertificatesFresh(pki, tls, clock, log, stopping);
  controlPlane.lead();
  log.info({ api: address, join: flags.joinListen, dns: flags.dnsListen, version }, 'the control plane is ready');
  return { finished: Promise.race([controlPlane.finished, removed.promise]) };
}

interface Adapters {
  readonly pki: ClusterPki;
  readonly etcd: Etcd;
  readonly tls: ReloadableTls;
  readonly log: Log;
}

function startReplica(
  flags: ControlPlaneFlags,
  address: string,
  { pki, etcd, tls, log, drainInbox }: Adapters & Pick<ControlPlaneParts, 'drainInbox'>,
  stopping: AbortSignal,
): Promise<ControlPlane> {
  const dnsLog = log.child({ component: 'dns' });
  const parts = {
    store: etcd.store,
    codec: sealedCodec(createKeyring(pki.secretsKey, systemRandom)),
    clock: systemClock,
    random: systemRandom,
    log,
    authority: pki.authority,
    tls,
    ...(etcd.members && { etcdMembers: etcd.members }),
    ...(drainInbox && { drainInbox }),
    onTerm: (signal: AbortSignal) => etcd.keepLeadersApart(signal),
    resolve(state: ClusterState) {
      const server = `control-plane ${flags.advertiseAddress}`;
      const resolver = createResolver({ ...dnsOptions(flags, state, dnsLog), server });
      return resolver.resolve;
    },
  };
  const config = {
    name: flags.name,
    address,
    clusterCIDR: flags.clusterCidr,
    serviceCIDR: flags.serviceCidr,
    dnsIP: flags.dnsIp,
    zone: flags.zone,
    defaultScheduler: flags.scheduler,
    nodeLeaseMs: flags.nodeLeaseMs,
    nodeHeartbeatMs: flags.nodeHeartbeatMs,
    leaderLeaseMs: flags.leaderLeaseMs,
    podsPerTransaction: etcd.podsPerTransaction,
    version,
  };
  return startControlPlane(parts, config, stopping);
}

function joinServices(
  { clusterCidr: clusterCIDR, serviceCidr: serviceCIDR, dnsIp: dnsIP, zone }: ControlPlaneFlags,
  { join }: ControlPlane,
  { pki, etcd, log }: Adapters,
): ServerOptions['services'] {
  const { store, share: shareEtcd } = etcd;
  const { caHash } = pki.authority;
  const tokens = createJoinTokens({ store, caHash, clock: systemClock, random: systemRandom });
  const settings = { clusterCIDR, serviceCIDR, dnsIP, zone };
  return { ...join, ControlPlaneBootstrap: controlPlaneBootstrap({ tokens, pki, shareEtcd, settings, log }) };
}

async function serve(
  flags: ControlPlaneFlags,
  { api, state }: ControlPlane,
  join: ServerOptions['services'],
  tls: ReloadableTls,
  log: Log,
  undo: Undo[],
): Promise<RunningServer> {
  const dnsLog = log.child({ component: 'dns' });
  const dns = await startClusterDns({ listen: flags.dnsListen, ...dnsOptions(flags, state, dnsLog) });
  undo.push(() => dns.stop());
  const joining = { listen: flags.joinListen, services: join, requireClientCertificate: false };
  const joinServer = await startServer({ ...joining, tls, log });
  undo.push(() => joinServer.stop(serverGraceMs));
  const serving = { listen: flags.listen, services: api, requireClientCertificate: true, authorize };
  const server = await startThreadedServer({ ...serving, tls, log });
  undo.push(() => server.stop(serverGraceMs));
  return server;
}

function dnsOptions(
  { zone, clusterCidr: clusterCIDR, serviceCidr: serviceCIDR, dnsIp: dnsIP, ...flags }: ControlPlaneFlags,
  state: ClusterState,
  log: Log,
): Omit<ClusterDnsOptions, 'listen'> {
  const recursionFrom = flags.dnsRecursionFrom;
  return { zone, clusterCIDR, serviceCIDR, dnsIP, recursionFrom, state, clock: systemClock, random: systemRandom, log };
}

function keepCertificatesFresh(pki: ClusterPki, tls: ReloadableTls, clock: Clock, log: Log, signal: AbortSignal): void {
  const timer = clock.schedule(renewEveryMs, async () => {
    if (signal.aborted) return;
    let current = pki;
    try {
      current = await pki.renew();
      tls.replace(tlsMaterial(current.authority, current.server));
    } catch (error) {
      log.warn({ cause: messageOf(error) }, 'cannot renew certificates; trying again in an hour');
    }
    keepCertificatesFresh(current, tls, clock, log, signal);
  });
  signal.addEventListener('abort', () => timer.cancel(), { once: true });
}

function portOf(listen: string): string {
  return listen.slice(listen.lastIndexOf(':') + 1);
}

async function stopAll(undo: readonly Undo[], log: Log): Promise<void> {
  for (const step of [...undo].reverse()) {
    await step().catch((error: unknown) => log.warn({ cause: messageOf(error) }, 'could not stop in order'));
  }
}

/** One sentence for what the world did wrong; a stack for what we did. */
function fail(error: unknown): void {
  process.exitCode = 1;
  const text = isGantryError(error) ? error.message : ((error as Error)?.stack ?? String(error));
  process.stderr.write(`gantry-control-plane: ${text}\n`);
}

async function main(): Promise<void> {
  collectRarely(systemClock);
  releaseClosedStreams();
  const flags = parseFlags(process.argv.slice(2), version);
  const log = createLog('control-plane', flags.logLevel);
  const stopping = new AbortController();
  const undo: Undo[] = [];
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log.info({ signal: name }, 'stopping');
      systemClock.schedule(stopWithinMs, () => process.exit(1));
      stopping.abort(new Error(`stopped by ${name}`));
    });
  }
  const asked = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve()));
  try {
    const { finished } = await run(flags, log, undo, stopping.signal);
    await Promise.race([asked, finished]);
  } catch (error) {
    if (!stopping.signal.aborted) fail(error);
  }
  await stopAll(undo, log);
  process.exit();
}

try {
  await main();
} catch (error) {
  fail(error);
  process.exit();
}
