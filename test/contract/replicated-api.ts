/**
 * Several replicas of the API over one real etcd, each with its own mirror, served over gRPC with mutual TLS; one of them
 * runs the controllers. Nodes and agents there are none. `ctl` is the program itself.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDefaults } from '../../control-plane/api/bootstrap.ts';
import { createClusterService } from '../../control-plane/api/cluster-service.ts';
import { createOverlaps } from '../../control-plane/api/overlaps.ts';
import { authorize } from '../../control-plane/api/roles.ts';
import { runControllers } from '../../control-plane/controllers/all.ts';
import { createEventRecorder } from '../../control-plane/events/recorder.ts';
import { commit } from '../../control-plane/state/commit.ts';
import { type FollowedState, followStore } from '../../control-plane/state/follow.ts';
import { sealedCodec } from '../../control-plane/state/object-codec.ts';
import { cloneFolder } from '../../deploy/lab/state.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { createKeyring } from '../../lib/model/stored.ts';
import { type ClusterPki, loadOrCreatePki, tlsMaterial } from '../../lib/pki/cluster-pki.ts';
import { type RunResult, systemExec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { type Connection, connect, type ServiceClient } from '../../lib/rpc/client.ts';
import { startServer as startRpcServer } from '../../lib/rpc/server.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import { createEtcdStore } from '../../lib/store/etcd.ts';
import type { Store } from '../../lib/store/store.ts';
import { freePorts, startServer } from './store-harness.ts';

export interface ReplicatedApi {
  /** One client to each replica. */
  readonly clients: readonly ServiceClient<'Cluster'>[];
  readonly store: Store;
  readonly state: FollowedState;
  /** With the manifests as standard input. */
  ctl(argv: readonly string[], input?: string, timeoutMs?: number): Promise<RunResult>;
  /** ctl that goes on until `end`. */
  follow(argv: readonly string[]): { out(): string; end(): void };
  /** Ends the server that ctl turns to first, and its calls. */
  stopFirst(): Promise<void>;
  end(): Promise<void>;
}

const config = {
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  dnsIP: '10.43.0.10',
  zone: 'cluster.local',
  version: 'test',
  defaultScheduler: 'least-loaded',
};
const ctlProgram = `${cloneFolder}/cli/ctl`;
const common = { clock: systemClock, random: systemRandom, log: silentLog };

export async function startReplicatedApi(replicas: number): Promise<ReplicatedApi> {
  const etcd = await startServer();
  const folder = await mkdtemp(join(tmpdir(), 'gantry-replicas-'));
  const ports = await freePorts(replicas);
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const pki = await loadOrCreatePki({ dataDir: folder, name: 'cp', apiAddresses: addresses, ...common });
  const codec = sealedCodec(createKeyring(new Uint8Array(32).fill(5), systemRandom));
  const ending = new AbortController();
  const started = await Promise.all(
    addresses.map(async (address) => {
      const store = createEtcdStore({ endpoints: [etcd.server.endpoint], clock: systemClock, maxOperations: 4096 });
      await ensureDefaults({ store, codec, ...common });
      const state = followStore({ store, codec, signal: ending.signal, ...common });
      await state.whenSynced();
      const overlaps = createOverlaps(state);
      const server = await serve(address, pki, createClusterService({ store, codec, config, overlaps, ...common }));
      return { store, state, server, connection: connectTo(address, pki) };
    }),
  );
  const [{ store, state }] = started as [(typeof started)[0], ...typeof started];
  const controllers = control(store, state, codec, ending.signal);
  const configFile = join(folder, 'ctl.conf');
  await writeFile(configFile, configText(addresses, pki), { mode: 0o600 });
  const exec = systemExec();
  return {
    clients: started.map(({ connection }) => connection.client('Cluster')),
    store,
    state,
    ctl: (argv, input, timeoutMs = 30_000) =>
      exec.run([ctlProgram, '--config', configFile, ...argv], {
        timeoutMs,
        ...(input !== undefined && { input }),
      }),
    follow(argv) {
      const child = exec.start([ctlProgram, '--config', configFile, ...argv], { stdio: ['ignore', 'pipe', 'ignore'] });
      const chunks: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
      return { out: () => Buffer.concat(chunks).toString(), end: () => void child.kill('SIGINT') };
    },
    stopFirst: () => started[0]!.server.stop(0),
    async end() {
      for (const { connection, server } of started) {
        connection.close();
        await server.stop(100);
      }
      ending.abort(new Error('the test is over'));
      await controllers;
      await Promise.all(started.map((one) => one.store.close()));
      await etcd.end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function serve(
  listen: string,
  pki: ClusterPki,
  Cluster: ReturnType<typeof createClusterService>,
): Promise<RunningServer> {
  return startRpcServer({
    listen,
    tls: new ReloadableTls(tlsMaterial(pki.authority, pki.server)),
    requireClientCertificate: true,
    services: { Cluster },
    authorize,
    log: silentLog,
  });
}

function connectTo(address: string, { authority, admin }: ClusterPki): Connection {
  return connect({ address, tls: new ReloadableTls({ ...admin, caPem: authority.certPem }) });
}

function control(
  store: Store,
  state: FollowedState,
  codec: ReturnType<typeof sealedCodec>,
  signal: AbortSignal,
): Promise<void> {
  const events = createEventRecorder({ store, ...common });
  return runControllers(
    {
      state,
      events,
      signal,
      commit: (changes, owner) => commit({ store, codec, ...common }, changes, owner),
      ...common,
    },
    { mostPerTransaction: 100, evictionsPaused: () => false, lostForMs: () => undefined, podUsage: () => undefined },
  );
}

function configText(servers: readonly string[], { authority, admin }: ClusterPki): string {
  const { certPem, keyPem } = admin;
  return JSON.stringify({ servers, caCertificate: authority.certPem, clientCertificate: certPem, clientKey: keyPem });
}
