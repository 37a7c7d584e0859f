/** Joining, sessions, leases, slices and statuses, over real gRPC on loopback. */
import { readFile, writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { podIPKey } from '../../lib/model/allocations.ts';
import { conditionStatus, findCondition } from '../../lib/model/conditions.ts';
import { readCertificate } from '../../lib/pki/certificate-facts.ts';
import { issueIdentity } from '../../lib/pki/certificates.ts';
import { tlsMaterial, user } from '../../lib/pki/cluster-pki.ts';
import { systemRandom } from '../../lib/random.ts';
import { connect } from '../../lib/rpc/client.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import { deleteOf, putOf } from '../../lib/store/store.ts';
import { keepRenewed, obtainIdentity } from '../../node-agent/session/join.ts';
import type { Heartbeat, PodStatus, UsageWanted } from '../../proto/gen/types.ts';
import {
  type Agent,
  boundPod,
  heartbeatMs,
  leaseMs,
  type Replica,
  type SessionCluster,
  startSessionCluster,
} from './session-cluster.ts';

let cluster: SessionCluster;
let replica: Replica;

beforeEach(async () => {
  cluster = await startSessionCluster();
  replica = await cluster.startReplica('cp-1');
});
afterEach(() => cluster.stop());

const signal = new AbortController().signal;
const eventually = (check: () => unknown): Promise<unknown> =>
  vi.waitFor(check as () => void, { timeout: 8_000, interval: 10 });
const inSession = (agent: Agent) =>
  eventually(() => expect(agent.client.connected && agent.slice.revision).toBeTruthy());
const readyOf = async (name: string): Promise<string> => {
  const node = await cluster.get('Node', undefined, name);
  return conditionStatus(node?.status?.conditions, 'Ready');
};
const running: PodStatus = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };

describe('figures of autoscaled pods', () => {
  test('are asked of the agents that run some, and of no other; kept in memory alone', async () => {
    const wanted: Record<string, UsageWanted[]> = { 'node-1': [], 'node-2': [] };
    const agents = new Map<string, Agent>();
    for (const name of Object.keys(wanted)) {
      const agent = await cluster.startAgent(name, { onUsageWanted: (message) => void wanted[name]?.push(message) });
      agents.set(name, agent);
      await inSession(agent);
    }
    const owned = (kind: string, uid: string) => ({
      ownerReferences: [{ apiVersion: 'apps/v1', kind, name: uid, uid, controller: true }],
    });
    const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    const spec = { selector: { matchLabels: { app: 'web' } }, template };
    const at = { namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' };
    await cluster.put({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { ...at, name: 'web', uid: 'd' }, spec });
    const replicaSet = { ...at, name: 'rs', uid: 'rs', ...owned('Deployment', 'd') };
    await cluster.put({ apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: replicaSet, spec });
    const pod = boundPod('web-1', 'node-1');
    await cluster.put({ ...pod, metadata: { ...pod.metadata, ...owned('ReplicaSet', 'rs') } });
    await cluster.put(boundPod('other', 'node-2'));
    const scaleTargetRef = { kind: 'Deployment', name: 'web' };
    await cluster.put({
      ...{ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
      ...{ metadata: { ...at, name: 'web', uid: 'hpa' }, spec: { scaleTargetRef, maxReplicas: 3 } },
    });
    const uid = pod.metadata.uid ?? '';
    await eventually(() => expect(wanted['node-1']?.at(-1)).toMatchObject({ podUIDs: [uid], periodMs: 15_000 }));
    expect(wanted['node-2']).toEqual([{ podUIDs: [] }]);

    const { revision } = await cluster.store.get('/nothing');
    const containers = [{ name: 'c', cpuNanocores: 250_000_001, memoryBytes: 5 }];
    agents.get('node-1')?.client.usage([
      { uid, containers, windowMs: 15_000 },
      { uid: 'not-asked-for', containers },
    ]);
    const usageOf = (podUID: string) => replica.sessions.podUsage(podUID, systemClock.nowMs());
    await eventually(() => expect(usageOf(uid)).toMatchObject({ cpuMillis: 251, memoryBytes: 5, windowMs: 15_000 }));
    expect(usageOf('not-asked-for')).toBeUndefined();
    expect((await cluster.store.get('/nothing')).revision).toBe(revision);

    await cluster.store.transact({ compare: [], success: [deleteOf('/gantry/horizontalpodautoscalers/default/web')] });
    await eventually(() => expect(wanted['node-1']?.at(-1)?.podUIDs ?? []).toEqual([]));
    expect(usageOf(uid)).toBeUndefined();
  });
});

describe('joining', () => {
  test('makes the node with a range of its own, and a certificate that names it', async () => {
    const one = await cluster.startAgent('node-1');
    await cluster.startAgent('node-2');
    const facts = readCertificate(one.tls.material.certPem);
    expect(facts.commonName).toBe('node:node-1');
    expect(facts.names).toEqual(['node-1.node.gantry.internal', '127.0.0.1']);
    const ranges = await Promise.all(['node-1', 'node-2'].map((name) => cluster.get('Node', undefined, name)));
    expect(ranges.map((node) => node?.spec.podCIDR)).toEqual(['10.42.0.0/24', '10.42.1.0/24']);
    expect(await readFile(join(cluster.dataDir, 'node-1', 'pki', 'node.pem'), 'utf8')).toContain('PRIVATE KEY');
  });

  test('again needs no token and keeps range and identity', async () => {
    const first = await cluster.startAgent('node-1');
    await first.stop();
    const before = await cluster.get('Node', undefined, 'node-1');
    const tls = await obtainIdentity(cluster.joinOptions('node-1'), signal);
    expect(tls.material).toEqual(first.tls.material);
    await obtainIdentity(
      cluster.joinOptions('node-1', {
        dataDir: join(cluster.dataDir, 'new-disk'),
        token: (await cluster.tokens.create({ role: 'node' })).token,
      }),
      signal,
    );
    expect((await cluster.get('Node', undefined, 'node-1'))?.spec).toEqual(before?.spec);
  });

  test('with the data folder of another cluster is refused', async () => {
    await cluster.startAgent('node-1');
    const foreign = await startSessionCluster();
    const { token } = await foreign.tokens.create({ role: 'node' });
    await foreign.stop();
    await expect(obtainIdentity(cluster.joinOptions('node-1', { token }), signal)).rejects.toThrow(
      /belongs to another cluster/,
    );
  });

  test('is not needed again: the certificate renews itself when two thirds of its life are over', async () => {
    const { tls } = await cluster.startAgent('node-1');
    const before = tls.material;
    const ending = new AbortController();
    const later = { ...systemClock, nowMs: () => systemClock.nowMs() + 17 * 3_600_000 };
    const renewing = keepRenewed(tls, cluster.joinOptions('node-1', { clock: later }), ending.signal);
    await eventually(() => expect(tls.material.certPem).not.toBe(before.certPem));
    ending.abort();
    await renewing;
    expect(tls.material.keyPem).not.toBe(before.keyPem);
    expect(readCertificate(tls.material.certPem).commonName).toBe('node:node-1');
    expect((await obtainIdentity(cluster.joinOptions('node-1'), signal)).material).toEqual(tls.material);
  });

  test('with an expired certificate and no token goes on with what it has, and with a token joins again', async () => {
    const first = await cluster.startAgent('node-1');
    await first.stop();
    const later = { ...systemClock, nowMs: () => systemClock.nowMs() + 25 * 3_600_000 };
    const errors: string[] = [];
    const log = { ...silentLog, error: (_: object, message: string) => errors.push(message) };
    const kept = await obtainIdentity(cluster.joinOptions('node-1', { clock: later, log }), signal);
    expect(kept.material).toEqual(first.tls.material);
    expect(errors.join()).toMatch(/certificate expired at .*token create --role node/);
    const { token } = await cluster.tokens.create({ role: 'node' });
    const renewed = await obtainIdentity(cluster.joinOptions('node-1', { clock: later, token }), signal);
    expect(renewed.material.certPem).not.toBe(first.tls.material.certPem);
  });

  test('without a token says how to get one', async () => {
    await expect(obtainIdentity(cluster.joinOptions('node-1'), signal)).rejects.toThrow(/token create --role node/);
  });

  test.each([
    ['of another shape', 'hello', /not a join token/],
    ['that nobody gave', 'bcdfghjk', /not one of this cluster/],
  ])('with a token %s is refused', async (_, id, sentence) => {
    const { token } = await cluster.tokens.create({ role: 'node' });
    const wrong = id === 'hello' ? id : [id, ...token.split('.').slice(1)].join('.');
    await expect(obtainIdentity(cluster.joinOptions('node-1', { token: wrong }), signal)).rejects.toThrow(sentence);
    expect(await cluster.get('Node', undefined, 'node-1')).toBeUndefined();
  });

  test('with a revoked token or one of another role is refused, each for its reason', async () => {
    const revoked = await cluster.tokens.create({ role: 'node' });
    await cluster.tokens.revoke(revoked.record.id);
    const other = await cluster.tokens.create({ role: 'control-plane' });
    const attempt = (token: string) => obtainIdentity(cluster.joinOptions('node-1', { token }), signal);
    await expect(attempt(revoked.token)).rejects.toThrow(/was revoked at .*token create --role node/);
    await expect(attempt(other.token)).rejects.toThrow(/is for the role control-plane/);
  });

  test('a cluster with another CA never sees the token', async () => {
    const { token } = await cluster.tokens.create({ role: 'node' });
    const [id, secret, hash] = token.split('.');
    const foreign = `${id}.${secret}.${hash!.startsWith('A') ? 'B' : 'A'}${hash!.slice(1)}`;
    await expect(obtainIdentity(cluster.joinOptions('node-1', { token: foreign }), signal)).rejects.toThrow(
      /nothing was sent to it/,
    );
  });

  test('a name that is Ready on another machine is refused', async () => {
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    const { token } = await cluster.tokens.create({ role: 'node' });
    const thief = cluster.joinOptions('node-1', { token, machineID: 'other', dataDir: join(cluster.dataDir, 'thief') });
    await expect(obtainIdentity(thief, signal)).rejects.toThrow(/belongs to a node that is Ready on another machine/);
  });

  test('random bytes on the join port disturb nobody, and a port without TLS is named as such', async () => {
    const options = { host: '127.0.0.1', port: cluster.joinPort, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const rude = connectTls(options);
    rude.on('error', () => {});
    await new Promise((resolve) => rude.once('secureConnect', resolve));
    rude.write(Buffer.from(systemRandom.bytes(4096)));
    const ruder = connectTcp({ host: '127.0.0.1', port: cluster.joinPort });
    ruder.on('error', () => {});
    ruder.write(Buffer.from(systemRandom.bytes(4096)));
    const plain = createServer((socket) =>
      socket
        .on('error', () => {})
        .end('SSH-2.0-OpenSSH\r\n')
        .resume(),
    );
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as { port: number };
    const { token } = await cluster.tokens.create({ role: 'node' });
    const wrongPort = cluster.joinOptions('node-1', { token, joinPort: port });
    await expect(obtainIdentity(wrongPort, signal)).rejects.toThrow(/does not speak TLS/);
    await new Promise((resolve) => plain.close(resolve));
    expect((await obtainIdentity(cluster.joinOptions('node-1', { token }), signal)).material.certPem).toContain(
      'BEGIN',
    );
    rude.destroy();
    ruder.destroy();
  });
});

describe('a session', () => {
  test('is refused to a client whose certificate is not a node’s', async () => {
    const admin = await issueIdentity(cluster.pki.authority, user('eve', 'admin'), {
      clock: systemClock,
      random: systemRandom,
    });
    const tls = new ReloadableTls(tlsMaterial(cluster.pki.authority, admin));
    const connection = connect({ address: replica.address, tls });
    const session = connection.client('NodeSession').Session((async function* () {})());
    await expect(session[Symbol.asyncIterator]().next()).rejects.toThrow(
      /only node agents open sessions; this is "eve" \(admin\)/,
    );
    connection.close();
  });

  test('makes the node Ready with what the agent says of it', async () => {
    await inSession(await cluster.startAgent('node-1'));
    const node = await cluster.get('Node', undefined, 'node-1');
    expect(findCondition(node?.status?.conditions, 'Ready')).toMatchObject({ status: 'True', reason: 'KubeletReady' });
    expect(node?.status?.allocatable).toEqual({ cpu: '2', memory: '2Gi' });
    expect(node?.metadata.labels).toEqual({ 'kubernetes.io/hostname': 'node-1', 'kubernetes.io/arch': 'amd64' });
  });

  test('brings the node its slice, and then what changes of it', async () => {
    await cluster.put(
      boundPod('mine', 'node-1', {
        spec: {
          nodeName: 'node-1',
          containers: [{ name: 'main', image: 'x', envFrom: [{ secretRef: { name: 'named' } }] }],
        },
      }),
    );
    await cluster.put(boundPod('other', 'node-2'));
    for (const name of ['named', 'unnamed']) {
      await cluster.put({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace: 'default' },
        data: { a: 'YQ==' },
      });
    }
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    expect(agent.slice.list('Pod').map(({ metadata }) => metadata.name)).toEqual(['mine']);
    expect(agent.slice.list('Secret').map(({ metadata }) => metadata.name)).toEqual(['named']);

    await cluster.put(boundPod('second', 'node-1'));
    await cluster.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default' }, spec: {} });
    await eventually(() => {
      expect(agent.slice.get('Pod', 'default', 'second')).toBeDefined();
      expect(agent.slice.get('Service', 'default', 'web')).toBeDefined();
    });
    await cluster.store.transact({ compare: [], success: [{ kind: 'delete', key: '/gantry/pods/default/mine' }] });
    await eventually(() => {
      expect(agent.slice.list('Pod').map(({ metadata }) => metadata.name)).toEqual(['second']);
      expect(agent.slice.list('Secret')).toEqual([]);
    });
  });

  test('the slice outlives the agent on disk, and a damaged file is ignored', async () => {
    await cluster.put(boundPod('mine', 'node-1'));
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    await agent.stop();
    const offline = { servers: ['127.0.0.1:1'] };
    const again = await cluster.startAgent('node-1', offline);
    expect(again.slice.get('Pod', 'default', 'mine')?.status?.podIP).toMatch(/^10\.42\./);
    expect(again.slice.revision).toBe(agent.slice.revision);
    await again.stop();
    await writeFile(join(cluster.dataDir, 'node-1', 'slice'), systemRandom.bytes(500));
    const damaged = await cluster.startAgent('node-1', offline);
    expect(damaged.slice.revision).toBeUndefined();
  });

  test('statuses are stored, without what the agent may not write', async () => {
    const pod = boundPod('web', 'node-1');
    const foreign = boundPod('foreign', 'node-2');
    await cluster.put(pod);
    await cluster.put(foreign);
    const agent = await cluster.startAgent('node-1');
    const report = { ...running, podIP: '6.6.6.6', hostIP: '6.6.6.6' };
    agent.client.pod({ namespace: 'default', name: 'web', uid: pod.metadata.uid! }, report);
    agent.client.pod({ namespace: 'default', name: 'foreign', uid: foreign.metadata.uid! }, report);
    await eventually(async () => {
      const status = (await cluster.get('Pod', 'default', 'web'))?.status;
      expect(status).toMatchObject({ phase: 'Running', podIP: pod.status!.podIP!, hostIP: '127.0.0.1' });
      expect(status?.conditions?.map(({ type }) => type)).toEqual(['PodScheduled', 'Ready']);
    });
    expect((await cluster.get('Pod', 'default', 'foreign'))?.status).toEqual(foreign.status);
  });

  test('many statuses at once, with a lost answer and a store that goes away, all arrive', async () => {
    const pods = Array.from({ length: 120 }, (_, index) => boundPod(`web-${index}`, 'node-1'));
    for (const pod of pods) await cluster.put(pod);
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    cluster.store.loseAnswers(1);
    for (const { metadata } of pods) {
      agent.client.pod({ namespace: 'default', name: metadata.name, uid: metadata.uid! }, running);
    }
    cluster.store.setAvailable(false);
    await systemClock.sleep(100);
    cluster.store.setAvailable(true);
    await eventually(async () => {
      const stored = await Promise.all(pods.map(({ metadata }) => cluster.get('Pod', 'default', metadata.name)));
      expect(stored.filter((pod) => pod?.status?.phase === 'Running')).toHaveLength(120);
    });
  });

  test('what an agent reports removed goes, with its address, if its deletion was asked for', async () => {
    const kept = boundPod('kept', 'node-1');
    const deleted = boundPod('deleted', 'node-1');
    deleted.metadata.deletionTimestamp = '2030-01-01T00:00:00Z';
    for (const pod of [kept, deleted]) {
      await cluster.put(pod);
      const holder = new TextEncoder().encode(pod.metadata.uid);
      await cluster.store.transact({ compare: [], success: [putOf(podIPKey(pod.status!.podIP!), holder)] });
    }
    const agent = await cluster.startAgent('node-1');
    for (const { metadata } of [kept, deleted]) {
      agent.client.removed({ namespace: 'default', name: metadata.name, uid: metadata.uid! });
    }
    await eventually(async () => expect(await cluster.get('Pod', 'default', 'deleted')).toBeUndefined());
    expect((await cluster.store.get(podIPKey(deleted.status!.podIP!))).kv).toBeUndefined();
    expect(await cluster.get('Pod', 'default', 'kept')).toBeDefined();
    expect((await cluster.store.get(podIPKey(kept.status!.podIP!))).kv).toBeDefined();
    await eventually(() => expect(agent.slice.get('Pod', 'default', 'deleted')).toBeUndefined());
  });

  test('a pod that was written not ready while its node was thought lost is reported ready again', async () => {
    const pod = boundPod('web', 'node-1');
    await cluster.put(pod);
    const agent = await cluster.startAgent('node-1');
    agent.client.pod({ namespace: 'default', name: 'web', uid: pod.metadata.uid! }, running);
    const readiness = async () =>
      conditionStatus((await cluster.get('Pod', 'default', 'web'))?.status?.conditions, 'Ready');
    await eventually(async () => expect(await readiness()).toBe('True'));
    await cluster.put({ ...pod, status: { ...pod.status, conditions: [{ type: 'Ready', status: 'False' }] } });
    await eventually(async () => expect(await readiness()).toBe('True'));
  });

  test('events of its own pods are kept and counted, others are not', async () => {
    const pod = boundPod('web', 'node-1');
    await cluster.put(pod);
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    await eventually(() => expect(replica.state.get('Pod', 'default', 'web')).toBeDefined());
    const about = (name: string, uid: string) => ({
      apiVersion: 'v1' as const,
      kind: 'Event' as const,
      metadata: { name: '' },
      involvedObject: { kind: 'Pod', namespace: 'default', name, uid },
      reason: 'Pulled',
      message: 'pulled the image',
    });
    agent.client.event(about('nobody', 'x'));
    agent.client.event(about('web', pod.metadata.uid!));
    agent.client.event(about('web', pod.metadata.uid!));
    await eventually(() => {
      const events = replica.state.list('Event').filter(({ reason }) => reason === 'Pulled');
      expect(events.map(({ count, source, involvedObject }) => [count, source?.host, involvedObject.name])).toEqual([
        [2, 'node-1', 'web'],
      ]);
    });
  });
});

describe('leases', () => {
  test('a node that falls silent is lost after its lease, and back as soon as it is heard', async () => {
    const verdicts: string[] = [];
    replica.sessions.onLeaseChange((name, verdict) => verdicts.push(`${name} ${verdict}`));
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    await eventually(() => expect(agent.client.lastAckMs).toBeDefined());
    expect(replica.sessions.nodeLeases().get('node-1')?.alive).toBe(true);
    const stoppedAtMs = systemClock.monotonicMs();
    await agent.stop();
    await eventually(async () => expect(await readyOf('node-1')).toBe('Unknown'));
    expect(systemClock.monotonicMs() - stoppedAtMs).toBeGreaterThan(leaseMs * 0.7);
    const node = await cluster.get('Node', undefined, 'node-1');
    expect(findCondition(node?.status?.conditions, 'Ready')?.reason).toBe('NodeStatusUnknown');
    expect(node?.status?.allocatable).toEqual({ cpu: '2', memory: '2Gi' });

    await cluster.startAgent('node-1');
    await eventually(async () => expect(await readyOf('node-1')).toBe('True'));
    expect(verdicts.filter((entry) => entry.endsWith('lost'))).toEqual(['node-1 lost']);
    await eventually(() => {
      const reasons = replica.state.list('Event').map(({ reason }) => reason);
      expect(reasons).toEqual(expect.arrayContaining(['NodeReady', 'NodeNotReady']));
    });
  });

  test('a thread that beats for an agent keeps its lease, gives none, and tells when the agent is stuck', async () => {
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    const connection = connect({ address: replica.address, tls: agent.tls });
    await agent.stop();
    let silentMs = 59_999;
    async function* beats(): AsyncGenerator<Heartbeat> {
      for (let sequence = 1; ; sequence += 1) {
        yield { sequence, agentSilentMs: silentMs };
        await systemClock.sleep(heartbeatMs);
      }
    }
    const answers: number[] = [];
    const ending = new AbortController();
    const { signal } = ending;
    const ended = (async () => {
      const stream = connection.client('NodeSession').Heartbeats(beats(), { signal });
      for await (const { sequence = 0 } of stream) answers.push(sequence);
    })();
    await eventually(() => expect(answers.length).toBeGreaterThan((3 * leaseMs) / heartbeatMs));
    expect(await readyOf('node-1')).toBe('True');
    expect(answers).toEqual(answers.map((_, index) => index + 1));

    silentMs = 60_000;
    const reason = async () =>
      findCondition((await cluster.get('Node', undefined, 'node-1'))?.status?.conditions, 'Ready')?.reason;
    await eventually(async () => expect(await reason()).toBe('AgentStuck'));
    expect(await readyOf('node-1')).toBe('False');
    const again = await cluster.startAgent('node-1');
    await eventually(async () => expect(await reason()).toBe('KubeletReady'));
    await again.stop();
    ending.abort();
    await ended.catch(() => {});
    connection.close();

    await eventually(async () => expect(await readyOf('node-1')).toBe('Unknown'));
    const late = connect({ address: replica.address, tls: agent.tls });
    const refused = (async () => {
      for await (const _ of late.client('NodeSession').Heartbeats(beats())) expect.unreachable();
    })();
    await expect(refused).rejects.toThrow('no lease here');
    late.close();
  });

  test('heartbeats keep a node alive and write nothing', async () => {
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    await eventually(() => expect(replica.state.list('Event').length).toBeGreaterThan(0));
    const { revision } = await cluster.store.status();
    const firstAckMs = agent.client.lastAckMs ?? 0;
    await eventually(() => expect(agent.client.lastAckMs).toBeGreaterThan(firstAckMs + leaseMs * 2));
    expect((await cluster.store.status()).revision).toBe(revision);
    expect(await readyOf('node-1')).toBe('True');
  });

  test('our own stall costs no node its lease', async () => {
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    const lost: string[] = [];
    replica.sessions.onLeaseChange((name, verdict) => verdict === 'lost' && lost.push(name));
    const untilMs = systemClock.monotonicMs() + leaseMs * 2;
    while (systemClock.monotonicMs() < untilMs); // both ends share this process; what counts is the judge's clock
    const ackMs = agent.client.lastAckMs ?? 0;
    await eventually(() => expect(agent.client.lastAckMs).toBeGreaterThan(ackMs + leaseMs));
    expect(lost).toEqual([]);
  });

  test('when most nodes vanish together, evictions pause until they are back', async () => {
    const agents = await Promise.all(['node-1', 'node-2', 'node-3'].map((name) => cluster.startAgent(name)));
    await Promise.all(agents.map(inSession));
    expect(replica.sessions.evictionsPaused()).toBe(false);
    await Promise.all(agents.slice(1).map((agent) => agent.stop()));
    await eventually(async () => expect(await readyOf('node-2')).toBe('Unknown'));
    expect(replica.sessions.evictionsPaused()).toBe(true);
    await cluster.startAgent('node-2');
    await eventually(() => expect(replica.sessions.evictionsPaused()).toBe(false));
  });
});

describe('when the leader changes', () => {
  test('agents follow it, and no node is lost on the way', async () => {
    const second = await cluster.startReplica('cp-2');
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    const lost: string[] = [];
    for (const { sessions } of [replica, second])
      sessions.onLeaseChange((name, verdict) => verdict === 'lost' && lost.push(name));
    await replica.resign();
    await eventually(() => expect(second.sessions.nodeLeases().has('node-1')).toBe(true));
    await eventually(() => expect(agent.client.connected).toBe(true));
    await cluster.put(boundPod('after', 'node-1'));
    await eventually(() => expect(agent.slice.get('Pod', 'default', 'after')).toBeDefined());
    expect(replica.sessions.nodeLeases().size).toBe(0);
    expect(lost).toEqual([]);
    expect(await readyOf('node-1')).toBe('True');
  });

  test('what was reported to the old leader is known to the new one', async () => {
    const second = await cluster.startReplica('cp-2');
    const pod = boundPod('web', 'node-1');
    await cluster.put(pod);
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    await replica.resign();
    agent.client.pod({ namespace: 'default', name: 'web', uid: pod.metadata.uid! }, running);
    await eventually(() => expect(second.state.get('Pod', 'default', 'web')?.status?.phase).toBe('Running'));
  });

  test('a node that nobody hears in the new term is lost after a full lease', async () => {
    const second = await cluster.startReplica('cp-2');
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    await agent.stop();
    await replica.resign();
    await eventually(() => expect(second.sessions.nodeLeases().has('node-1')).toBe(true));
    expect(await readyOf('node-1')).toBe('True');
    await eventually(async () => expect(await readyOf('node-1')).toBe('Unknown'));
  });
});

describe('a node that was deleted', () => {
  test('is told to join again, and its certificate is not renewed', async () => {
    const agent = await cluster.startAgent('node-1');
    await inSession(agent);
    await cluster.store.transact({ compare: [], success: [{ kind: 'delete', key: '/gantry/nodes/node-1' }] });
    await eventually(() => expect(agent.warnings.join()).toMatch(/not part of the cluster.*join it again/));
    const connection = connect({ address: replica.address, tls: agent.tls });
    await expect(connection.client('NodeSession').Renew({ certificateSigningRequest: '' })).rejects.toThrow(
      /join it again/,
    );
    connection.close();
  });

  test('learns for certain that it was, in session and at its next hello; another replica, and one that is away, do not say so', async () => {
    const told: string[] = [];
    const onNodeDeleted = (revision: string): void => void told.push(revision);
    const agent = await cluster.startAgent('node-1', { onNodeDeleted });
    await inSession(agent);
    const follower = await cluster.startReplica('cp-2');
    const other = await cluster.startAgent('node-1', {
      servers: [follower.address],
      dataDir: join(cluster.dataDir, 'node-1'),
      onNodeDeleted: () => told.push('by a follower'),
    });
    await eventually(() => expect(other.warnings.join()).toMatch(/holds no node sessions/));
    await other.stop();
    await inSession(agent);
    expect(told).toEqual([]);

    const { revision } = await cluster.store.transact({ compare: [], success: [deleteOf('/gantry/nodes/node-1')] });
    await eventually(() => expect(told.length).toBeGreaterThan(1)); // at the end of the session, and at the next hello
    for (const at of told) expect(BigInt(at) >= revision).toBe(true);
    await agent.stop();

    const again = await cluster.startAgent('node-1', { dataDir: join(cluster.dataDir, 'again'), onNodeDeleted });
    const before = told.length;
    await inSession(again);
    expect(told).toHaveLength(before);
  });
});
