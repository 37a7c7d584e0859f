/** A second control plane joins over real gRPC and enters a real etcd: who is let in, what it gets, who takes whose place. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Etcd, startEtcd } from '../../control-plane/etcd.ts';
import { untilDone } from '../../control-plane/etcd-membership.ts';
import { joinControlPlane } from '../../control-plane/join.ts';
import { membershipHandlers } from '../../control-plane/membership.ts';
import { type ControlPlaneFlags, parseFlags } from '../../control-plane/options.ts';
import { replicaKey } from '../../control-plane/replicas.ts';
import { controlPlaneBootstrap } from '../../control-plane/session/control-plane-join.ts';
import { createJoinTokens, type JoinTokens } from '../../control-plane/session/tokens.ts';
import { followStore } from '../../control-plane/state/follow.ts';
import { plainCodec } from '../../control-plane/state/object-codec.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { type ClusterPki, loadOrCreatePki, tlsMaterial } from '../../lib/pki/cluster-pki.ts';
import { storedCaHash } from '../../lib/pki/handover.ts';
import { formatJoinToken, newJoinToken } from '../../lib/pki/join-token.ts';
import { systemRandom } from '../../lib/random.ts';
import { startServer } from '../../lib/rpc/server.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import type { EtcdStore } from '../../lib/store/etcd.ts';
import { putOf } from '../../lib/store/store.ts';
import { admin } from '../unit/control-plane/api/harness.ts';
import { bytes, freePorts, serverParts, textOf, until } from './store-harness.ts';

interface Replica {
  readonly flags: ControlPlaneFlags;
  readonly pki: ClusterPki;
  readonly etcd: Etcd;
}

const parts = { clock: systemClock, random: systemRandom };
const joinParts = { clock: systemClock, log: silentLog };
const replicas: Replica[] = [];
let folder: string;
let server: RunningServer;
let tokens: JoinTokens;

/** Each on a loopback address of its own, as on a machine of its own. */
async function flagsOf(number: number, ...rest: string[]): Promise<ControlPlaneFlags> {
  const [client, peer] = await freePorts(2);
  const ports = ['--etcd-client-port', `${client}`, '--etcd-peer-port', `${peer}`];
  const name = ['--name', `cp-${number}`, '--advertise-address', `127.0.0.${number}`];
  return parseFlags([...name, '--data-dir', join(folder, `cp-${number}`), ...ports, ...rest], '0');
}

async function start(flags: ControlPlaneFlags): Promise<Replica> {
  const apiAddresses = [`${flags.advertiseAddress}:6443`];
  const { dataDir, name, advertiseAddress } = flags;
  const pki = await loadOrCreatePki({ dataDir, name, apiAddresses, etcdHosts: [advertiseAddress], ...parts });
  const replica = { flags, pki, etcd: await startEtcd(flags, pki, serverParts) };
  replicas.push(replica);
  return replica;
}

const join2 = (flags: ControlPlaneFlags): Promise<void> =>
  joinControlPlane(flags, `${flags.advertiseAddress}:6443`, joinParts, AbortSignal.timeout(30_000));

const joining = async (token: string, ...rest: string[]): Promise<ControlPlaneFlags> =>
  flagsOf(2, '--join', `127.0.0.1:${server.port}`, '--token', token, ...rest);

const tokenFor = async (role: string): Promise<string> => (await tokens.create({ role })).token;
const storeOf = ({ etcd }: Replica): EtcdStore => etcd.store as EtcdStore;
const names = async (replica: Replica): Promise<string[]> =>
  (await storeOf(replica).members.list()).map(({ name, isLearner }) => `${name}${isLearner ? ' learns' : ''}`).sort();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-replicas-'));
  const { pki, etcd } = await start(await flagsOf(1));
  tokens = createJoinTokens({ store: etcd.store, caHash: pki.authority.caHash, ...parts });
  const settings = {
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    dnsIP: '10.43.0.10',
    zone: 'cluster.local',
  };
  const bootstrap = controlPlaneBootstrap({ tokens, pki, shareEtcd: () => etcd.share(), settings, log: silentLog });
  server = await startServer({
    listen: '127.0.0.1:0',
    tls: new ReloadableTls(tlsMaterial(pki.authority, pki.server)),
    requireClientCertificate: false,
    services: { ControlPlaneBootstrap: bootstrap },
    log: silentLog,
  });
});
afterAll(async () => {
  await server?.stop(0);
  for (const { etcd } of replicas.reverse()) await etcd.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('joining as another control plane', () => {
  test('is refused without a token of that role, and then nothing is told', async () => {
    await expect(join2(await joining(await tokenFor('node')))).rejects.toThrow(/for the role node, not control-plane/);
    const foreign = formatJoinToken(newJoinToken('x'.repeat(43), systemRandom));
    await expect(join2(await joining(foreign))).rejects.toThrow(
      /not the cluster of this join token.*--role control-plane/,
    );
    const nobodys = formatJoinToken(newJoinToken(replicas[0]!.pki.authority.caHash, systemRandom));
    await expect(join2(await joining(nobodys))).rejects.toThrow(/is not one of this cluster/);
    await expect(join2(await flagsOf(2, '--join', '127.0.0.1:1'))).rejects.toThrow(/token create --role control-plane/);
    expect(await storedCaHash(join(folder, 'cp-2'))).toBeUndefined();
    // Still alone, and on loopback.
    expect(storeOf(replicas[0]!).endpoints).toEqual([`127.0.0.1:${replicas[0]!.flags.etcdClientPort}`]);
  });

  test('is refused when the replicas would disagree about addresses', async () => {
    const flags = await joining(await tokenFor('control-plane'), '--cluster-cidr', '10.44.0.0/16');
    await expect(join2(flags)).rejects.toThrow('give --cluster-cidr 10.42.0.0/16');
    expect(await storedCaHash(flags.dataDir)).toBeUndefined();
  });

  test('gives the same keys and a member with a vote; what was written before is there', {
    timeout: 60_000,
  }, async () => {
    const [first] = replicas as [Replica];
    await first.etcd.store.transact({ compare: [], success: [putOf('/before', bytes('1'))] });
    const flags = await joining(await tokenFor('control-plane'));
    await join2(flags);
    const second = await start(flags);
    expect(second.pki.authority).toEqual(first.pki.authority);
    expect(second.pki.secretsKey).toEqual(first.pki.secretsKey);
    expect(second.pki.server.certPem).not.toBe(first.pki.server.certPem);
    expect(await names(second)).toEqual(['cp-1', 'cp-2']);
    expect(textOf((await second.etcd.store.get('/before')).kv?.value)).toBe('1');
    await until(() => storeOf(first).endpoints.length === 2);
    await join2(flags); // joined already: nothing to do
  });

  test('a member that lost its data takes its own place again, and no living one', { timeout: 60_000 }, async () => {
    const [first, second] = replicas as [Replica, Replica];
    const twin = await joining(await tokenFor('control-plane'));
    const twinFlags = { ...twin, dataDir: join(folder, 'twin') };
    await join2(twinFlags);
    await expect(start(twinFlags)).rejects.toThrow(/has a member cp-2 .* that is alive/);

    const third = await flagsOf(3, '--join', `127.0.0.1:${server.port}`, '--token', await tokenFor('control-plane'));
    await join2(third);
    const lost = await start(third); // of three, one may be away
    expect(await names(first)).toEqual(['cp-1', 'cp-2', 'cp-3']);
    await lost.etcd.stop();
    await rm(third.dataDir, { recursive: true });
    await join2(third);
    const again = await start(third);
    expect(await names(second)).toEqual(['cp-1', 'cp-2', 'cp-3']);
    expect(textOf((await again.etcd.store.get('/before')).kv?.value)).toBe('1');
  });

  test('one that is removed for good has no member any more, and does not come back with its data', {
    timeout: 60_000,
  }, async () => {
    const [first, second] = replicas as [Replica, Replica];
    const lost = replicas.at(-1)!;
    expect(lost.flags.name).toBe('cp-3');
    const ending = new AbortController();
    const { store } = first.etcd;
    const announcement = putOf(replicaKey('cp-3'), bytes('127.0.0.3:6443'));
    const others = ['cp-1', 'cp-2'].map((name, index) => putOf(replicaKey(name), bytes(`127.0.0.${index + 1}:6443`)));
    await store.transact({ compare: [], success: [...others, announcement] });
    const state = followStore({ store, codec: plainCodec, ...joinParts, signal: ending.signal });
    await state.whenSynced();
    const { ListControlPlanes, RemoveControlPlane } = membershipHandlers({
      ...{ state, store, members: first.etcd.members!, leader: () => 'cp-1', ...joinParts },
      isServing: async () => false,
    });
    const standings = (await ListControlPlanes({}, admin)).controlPlanes!.map(({ etcd }) => etcd);
    expect([...standings].sort()).toEqual(['follower', 'follower', 'leader']);

    await lost.etcd.stop();
    await expect(RemoveControlPlane({ name: 'cp-2' }, admin)).rejects.toThrow('start cp-3 again, or remove cp-3 first');
    await RemoveControlPlane({ name: 'cp-3' }, admin);
    expect(await names(second)).toEqual(['cp-1', 'cp-2']);
    expect((await store.get(replicaKey('cp-3'))).kv).toBeUndefined();
    await expect(start(lost.flags)).rejects.toMatchObject({ code: 'notFound' });
    await until(() => storeOf(first).endpoints.length === 2);
    ending.abort();
  });

  test('nor does the one that began the cluster, when it was removed while it was off', {
    timeout: 60_000,
  }, async () => {
    const [first, second] = replicas as [Replica, Replica];
    const fourth = await flagsOf(4, '--join', `127.0.0.1:${server.port}`, '--token', await tokenFor('control-plane'));
    await join2(fourth);
    await start(fourth); // of three, one may go
    await first.etcd.stop();
    const { members } = storeOf(second);
    await untilDone('remove cp-1', joinParts, async () => {
      const founder = (await members.list()).find(({ name }) => name === 'cp-1');
      await members.remove(founder!.id);
    });
    expect(await names(second)).toEqual(['cp-2', 'cp-4']);
    await expect(start(first.flags)).rejects.toMatchObject({ code: 'notFound' });
  });
});
