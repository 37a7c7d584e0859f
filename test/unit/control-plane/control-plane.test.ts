/** Replicas of the control plane over one store: who leads, and that the others serve and take over. */
import { afterEach, describe, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from '../../../control-plane/control-plane.ts';
import { leaderKey, parseLeader } from '../../../control-plane/leader/identity.ts';
import { plainCodec } from '../../../control-plane/state/object-codec.ts';
import { virtualClock } from '../../../lib/clock-virtual.ts';
import { silentLog } from '../../../lib/log.ts';
import { toEnvelope } from '../../../lib/model/codec.ts';
import { createAuthority, issueIdentity } from '../../../lib/pki/certificates.ts';
import { tlsMaterial, user } from '../../../lib/pki/cluster-pki.ts';
import { seededRandom, systemRandom } from '../../../lib/random.ts';
import type { CallContext } from '../../../lib/rpc/serve-call.ts';
import { ReloadableTls } from '../../../lib/rpc/tls.ts';
import { createMemoryStore } from '../../../lib/store/memory.ts';
import { deployment } from './controllers/cluster.ts';

const clock = virtualClock(Date.now());
const authority = await createAuthority('gantry', { clock, random: systemRandom });
const identity = await issueIdentity(authority, user('cp', 'admin'), { clock, random: systemRandom });
const admin: CallContext = {
  peer: { commonName: 'admin', organization: 'admin', address: '10.88.0.9:1' },
  signal: new AbortController().signal,
  setTrailer() {},
};

let running: ControlPlane[] = [];
let store = createMemoryStore({ clock });
afterEach(async () => {
  for (const replica of running) await replica.stop();
  running = [];
  store = createMemoryStore({ clock });
});

async function start(name: string): Promise<ControlPlane> {
  const tls = new ReloadableTls(tlsMaterial(authority, identity));
  const parts = {
    store,
    codec: plainCodec,
    clock,
    random: seededRandom(running.length),
    log: silentLog,
    authority,
    tls,
  };
  const config = {
    name,
    address: `${name}.example:6443`,
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    dnsIP: '10.43.0.10',
    zone: 'cluster.local',
    defaultScheduler: 'least-loaded' as const,
    nodeLeaseMs: 3000,
    nodeHeartbeatMs: 1000,
    leaderLeaseMs: 5000,
    podsPerTransaction: 50,
    version: '0',
  };
  const starting = startControlPlane(parts, config, new AbortController().signal);
  let replica: ControlPlane | undefined;
  void starting.then((started) => {
    replica = started;
  });
  await clock.until(() => replica !== undefined, 60_000, `the start of ${name}`);
  running.push(replica!);
  return replica!;
}

const leaderAsSeenBy = ({ state }: ControlPlane): string | undefined => {
  const entry = state.other(leaderKey);
  return entry && parseLeader(new TextDecoder().decode(entry.value))?.name;
};

describe('a control plane', () => {
  it('leads, serves its API, and makes what is applied come true', async () => {
    const replica = await start('cp-1');
    expect(replica.state.get('Namespace', undefined, 'default')).toBeDefined();
    replica.lead();
    await clock.until(() => leaderAsSeenBy(replica) === 'cp-1', 10_000, 'the election');
    await replica.api.Cluster.Apply({ object: toEnvelope(deployment('web')) }, admin);
    await clock.until(() => replica.state.list('Pod').length === 3, 1000, 'the pods');
    const info = await replica.api.Cluster.GetClusterInfo({}, admin);
    expect(info).toMatchObject({ leader: 'cp-1', clusterCIDR: '10.42.0.0/16' });
  });

  it('serves without leading, follows, and takes over when the leader goes', async () => {
    const first = await start('cp-1');
    first.lead();
    await clock.until(() => leaderAsSeenBy(first) === 'cp-1', 10_000, 'the election');
    const second = await start('cp-2');
    second.lead();
    await second.api.Cluster.Apply({ object: toEnvelope(deployment('web')) }, admin);
    await clock.until(() => second.state.list('Pod').length === 3, 1000, 'the pods');
    expect(leaderAsSeenBy(second)).toBe('cp-1');
    await first.stop();
    running = [second];
    await clock.until(() => leaderAsSeenBy(second) === 'cp-2', 10_000, 'the take-over');
    await second.api.Cluster.Scale({ kind: 'Deployment', namespace: 'default', name: 'web', replicas: 5 }, admin);
    await clock.until(() => second.state.list('Pod').length === 5, 1000, 'scaling under the new leader');
  });

  it('carries on by itself after the store was away for longer than its lease', async () => {
    const replica = await start('cp-1');
    replica.lead();
    await clock.until(() => leaderAsSeenBy(replica) === 'cp-1', 10_000, 'the election');
    await replica.api.Cluster.Apply({ object: toEnvelope(deployment('web')) }, admin);
    await clock.until(() => replica.state.list('Pod').length === 3, 1000, 'the pods');
    const before = replica.state.list('Pod').map(({ metadata }) => metadata.uid);
    store.setAvailable(false);
    await clock.advance(30_000);
    store.setAvailable(true);
    const scale = { kind: 'Deployment', namespace: 'default', name: 'web', replicas: 4 };
    await replica.api.Cluster.Scale(scale, admin);
    await clock.until(() => replica.state.list('Pod').length === 4, 20_000, 'work after the outage');
    expect(replica.state.list('Pod').map(({ metadata }) => metadata.uid)).toEqual(expect.arrayContaining(before));
  });

  it('waits for a store that is not there yet', async () => {
    store.setAvailable(false);
    clock.schedule(5000, () => store.setAvailable(true));
    const replica = await start('cp-1');
    expect(replica.state.synced).toBe(true);
  });
});
