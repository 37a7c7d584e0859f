/** A control plane's session half over real gRPC on loopback, and agents that join it; the store is the memory twin. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEventRecorder } from '../../control-plane/events/recorder.ts';
import { type BootstrapDependencies, bootstrapHandlers, renewHandler } from '../../control-plane/session/bootstrap.ts';
import { createNodeSessions, type NodeSessions } from '../../control-plane/session/node-sessions.ts';
import { createJoinTokens, type JoinTokens } from '../../control-plane/session/tokens.ts';
import { type FollowedState, followStore } from '../../control-plane/state/follow.ts';
import { plainCodec } from '../../control-plane/state/object-codec.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import { type ClusterPki, loadOrCreatePki, tlsMaterial } from '../../lib/pki/cluster-pki.ts';
import { systemRandom } from '../../lib/random.ts';
import { startServer } from '../../lib/rpc/server.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import { type Campaign, campaign } from '../../lib/store/leader.ts';
import { createMemoryStore, type MemoryStore } from '../../lib/store/memory.ts';
import { putOf } from '../../lib/store/store.ts';
import { type JoinOptions, obtainIdentity } from '../../node-agent/session/join.ts';
import {
  createSessionClient,
  rpcTransport,
  type SessionClient,
  type SessionClientOptions,
} from '../../node-agent/session/session-client.ts';
import { openSliceStore, type SliceStore } from '../../node-agent/session/slice-store.ts';
import type { KindMap, KubeObject, Node, Pod } from '../../proto/gen/types.ts';

export const heartbeatMs = 50;
export const leaseMs = 400;

export interface Replica {
  readonly address: string;
  readonly sessions: NodeSessions;
  readonly state: FollowedState;
  /** Gives leadership away, if it holds it, and campaigns no more. */
  resign(): Promise<void>;
  stop(): Promise<void>;
}

export interface Agent {
  readonly client: SessionClient;
  readonly slice: SliceStore;
  readonly tls: ReloadableTls;
  readonly warnings: string[];
  stop(): Promise<void>;
}

export interface SessionCluster {
  readonly store: MemoryStore;
  readonly pki: ClusterPki;
  readonly tokens: JoinTokens;
  readonly joinPort: number;
  readonly dataDir: string;
  startReplica(name: string): Promise<Replica>;
  joinOptions(nodeName: string, changes?: Partial<JoinOptions>): JoinOptions;
  /** Joins when it has to, then keeps a session until stopped. */
  startAgent(nodeName: string, options?: Partial<JoinOptions & SessionClientOptions>): Promise<Agent>;
  put(object: KubeObject): Promise<void>;
  get<K extends KubeObject['kind']>(
    kind: K,
    namespace: string | undefined,
    name: string,
  ): Promise<KindMap[K] | undefined>;
  stop(): Promise<void>;
}

const config = {
  heartbeatMs,
  leaseMs,
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  dnsIP: '10.43.0.10',
  zone: 'cluster.local',
};

export async function startSessionCluster(
  timing: { readonly heartbeatMs?: number; readonly leaseMs?: number } = {},
): Promise<SessionCluster> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gantry-session-'));
  const dependencies = { clock: systemClock, random: systemRandom };
  const store = createMemoryStore({ clock: systemClock });
  const pki = await loadOrCreatePki({ dataDir, name: 'cp', apiAddresses: ['127.0.0.1:0'], ...dependencies });
  const tokens = createJoinTokens({ store, caHash: pki.authority.caHash, ...dependencies });
  const tls = new ReloadableTls(tlsMaterial(pki.authority, pki.server));
  const bootstrap: BootstrapDependencies = {
    store,
    codec: plainCodec,
    ...dependencies,
    log: silentLog,
    authority: pki.authority,
    tokens,
    clusterCIDR: config.clusterCIDR,
  };
  const joinServer = await startServer({
    listen: '127.0.0.1:0',
    tls,
    requireClientCertificate: false,
    services: { Bootstrap: bootstrapHandlers(bootstrap) },
    log: silentLog,
  });
  const replicas: Replica[] = [];
  const agents: Agent[] = [];
  let leaderAddress: string | undefined;

  const startReplica = async (name: string): Promise<Replica> => {
    const ending = new AbortController();
    const state = followStore({ store, codec: plainCodec, clock: systemClock, log: silentLog, signal: ending.signal });
    const sessions = createNodeSessions({
      store,
      codec: plainCodec,
      state,
      events: createEventRecorder({ store, ...dependencies, log: silentLog }),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      config: { ...config, ...timing },
      leaderAddress: () => leaderAddress,
    });
    const server: RunningServer = await startServer({
      listen: '127.0.0.1:0',
      tls,
      requireClientCertificate: true,
      services: {
        NodeSession: { Session: sessions.session, Heartbeats: sessions.heartbeats, Renew: renewHandler(bootstrap) },
      },
      log: silentLog,
    });
    const address = `127.0.0.1:${server.port}`;
    await state.whenSynced();
    const candidacy: Campaign = campaign(store, {
      key: '/gantry/leader',
      identity: name,
      ttlMs: () => 2_000,
      clock: systemClock,
      signal: ending.signal,
      onElected(leadership) {
        leaderAddress = address;
        sessions.lead(leadership);
      },
      onLost() {
        if (leaderAddress === address) leaderAddress = undefined;
      },
    });
    const replica: Replica = {
      address,
      sessions,
      state,
      resign: () => candidacy.resign(),
      async stop() {
        await candidacy.resign();
        ending.abort();
        await server.stop(0);
      },
    };
    replicas.push(replica);
    return replica;
  };

  const joinOptions = (nodeName: string, changes: Partial<JoinOptions> = {}): JoinOptions => ({
    dataDir: join(dataDir, nodeName),
    nodeName,
    machineID: `machine-of-${nodeName}`,
    servers: replicas.map(({ address }) => address),
    joinPort: joinServer.port,
    ...dependencies,
    log: silentLog,
    ...changes,
  });

  return {
    store,
    pki,
    tokens,
    joinPort: joinServer.port,
    dataDir,
    startReplica,
    joinOptions,
    async startAgent(nodeName, changes = {}) {
      const ending = new AbortController();
      const token = changes.token ?? (await tokens.create({ role: 'node' })).token;
      const options = joinOptions(nodeName, { token, ...changes });
      const identity = await obtainIdentity(options, ending.signal);
      const slice = await openSliceStore({
        file: join(options.dataDir, 'slice'),
        clock: systemClock,
        log: silentLog,
      });
      const warnings: string[] = [];
      const client = createSessionClient({
        servers: options.servers,
        transport: rpcTransport(identity),
        slice,
        node: () => agentNode(nodeName, options.machineID),
        podUIDs: () => [],
        clock: systemClock,
        random: systemRandom,
        log: { ...silentLog, warn: (fields) => warnings.push((fields as { error?: string }).error ?? '') },
        ...changes,
      });
      const running = client.run(ending.signal);
      const agent: Agent = {
        client,
        slice,
        tls: identity,
        warnings,
        async stop() {
          ending.abort(new Error('stopped'));
          await running;
          await slice.flush();
        },
      };
      agents.push(agent);
      return agent;
    },
    async put(object) {
      await store.transact({ compare: [], success: [putOf(keyOf(object), plainCodec.encode(object))] });
    },
    async get(kind, namespace, name) {
      const key = objectKey(kind, namespace, name);
      const { kv } = await store.get(key);
      return kv && (plainCodec.decode(key, kv.value, kv.modRevision) as KindMap[typeof kind]);
    },
    async stop() {
      for (const agent of agents) await agent.stop();
      for (const replica of replicas) await replica.stop();
      await joinServer.stop(0);
      await store.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

function agentNode(name: string, machineID: string): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/arch': 'amd64' } },
    spec: {},
    status: {
      capacity: { cpu: '2', memory: '2Gi' },
      allocatable: { cpu: '2', memory: '2Gi' },
      nodeInfo: { machineID },
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    },
  };
}

let podNumber = 0;

export function boundPod(name: string, nodeName: string, changes: Partial<Pod> = {}): Pod {
  podNumber += 1;
  const podIP = `10.42.0.${podNumber + 1}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}-${podNumber}` },
    spec: { nodeName, containers: [{ name: 'main', image: 'busybox' }] },
    status: {
      phase: 'Pending',
      podIP,
      podIPs: [{ ip: podIP }],
      hostIP: '127.0.0.1',
      conditions: [{ type: 'PodScheduled', status: 'True' }],
    },
    ...changes,
  };
}
