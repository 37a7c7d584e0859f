/**
 * One version apart, over real gRPC: today's control plane with a newer agent, and today's agent with a newer control
 * plane. The newer side is the schema of a version to come (test/newer-schema.ts) spoken with gRPC's bare client and
 * server. What a version does not know it passes on, what it cannot use it leaves alone.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, type ClientDuplexStream, Server, type ServerDuplexStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodeObject } from '../../lib/model/codec.ts';
import { objectKey } from '../../lib/model/keys.ts';
import type { Kind } from '../../lib/model/schema.ts';
import { tlsMaterial } from '../../lib/pki/cluster-pki.ts';
import { controlPlaneServerName } from '../../lib/rpc/server-name.ts';
import { clientCredentials, ReloadableTls, serverCredentials } from '../../lib/rpc/tls.ts';
import { putOf } from '../../lib/store/store.ts';
import { obtainIdentity } from '../../node-agent/session/join.ts';
import { rpcTransport } from '../../node-agent/session/session-client.ts';
import { newerBytes, newerRead } from '../newer-schema.ts';
import { boundPod, heartbeatMs, leaseMs, type SessionCluster, startSessionCluster } from './session-cluster.ts';

// biome-ignore lint/suspicious/noExplicitAny: a schema without types
type Message = any;

const path = '/gantry.v1.NodeSession/Session';
const bytesOf = (type: string) => (message: Message) => Buffer.from(newerBytes(type, message));
const messageOf = (type: string) => (bytes: Buffer) => newerRead(type, bytes);
const eventually = (check: () => unknown): Promise<unknown> =>
  vi.waitFor(check as () => void, { timeout: 8_000, interval: 10 });

let cluster: SessionCluster;
beforeEach(async () => {
  cluster = await startSessionCluster();
});
afterEach(() => cluster.stop());

const newerAt = async (kind: Kind, namespace: string | undefined, name: string): Promise<Message> => {
  const { kv } = await cluster.store.get(objectKey(kind, namespace, name));
  return kv && newerRead(kind, kv.value);
};

test("a newer agent's statuses are kept whole, and an older control plane's own writes leave them so", async () => {
  const replica = await cluster.startReplica('cp-1');
  const token = (await cluster.tokens.create({ role: 'node' })).token;
  const tls = await obtainIdentity(cluster.joinOptions('node-1', { token }), new AbortController().signal);
  const pod = boundPod('p', 'node-1');
  const newerPod = { ...newerRead('Pod', encodeObject(pod)), spec: { ...pod.spec, nest: { depth: 3 } } };
  await cluster.store.transact({
    compare: [],
    success: [putOf(objectKey('Pod', 'default', 'p'), newerBytes('Pod', newerPod))],
  });

  const client = new Client(replica.address, clientCredentials(tls), {
    'grpc.ssl_target_name_override': controlPlaneServerName,
  });
  const call: ClientDuplexStream<Message, Message> = client.makeBidiStreamRequest(
    path,
    bytesOf('SessionUp'),
    messageOf('SessionDown'),
  );
  const down: Message[] = [];
  call.on('data', (message) => down.push(message));
  call.on('error', () => {});
  const status = { nodeInfo: { machineID: 'machine-of-node-1' }, capacity: { cpu: '2' }, moon: 'full' };
  call.write({ hello: { node: { metadata: { name: 'node-1' }, status }, podUIDs: [] } });
  await eventually(() => expect(down.some(({ welcome }) => welcome)).toBe(true));
  call.write({ gossip: { name: 'a message of another kind' } });
  const beat = setInterval(() => call.write({ heartbeat: { sequence: 1 } }), heartbeatMs);
  try {
    const told = down.find(({ slice }) => slice)!.slice.objects;
    expect(told.find(({ pod: one }: Message) => one)?.pod.spec.nest).toEqual({ depth: 3 });
    const { uid } = pod.metadata;
    const report = (mood: string, sequence: number) =>
      call.write({
        status: { sequence, pods: [{ uid, namespace: 'default', name: 'p', status: { phase: 'Running', mood } }] },
      });
    report('fine', 1);
    await eventually(async () => expect((await newerAt('Pod', 'default', 'p')).status).toMatchObject({ mood: 'fine' }));
    report('better', 2); // nothing else about it has changed
    await eventually(async () => expect((await newerAt('Pod', 'default', 'p')).status.mood).toBe('better'));
    const stored = await newerAt('Pod', 'default', 'p');
    expect([stored.spec.nest, stored.status.podIP]).toEqual([{ depth: 3 }, pod.status?.podIP]);
    await eventually(async () => expect((await newerAt('Node', undefined, 'node-1')).status.moon).toBe('full'));
  } finally {
    clearInterval(beat);
  }
  // The verdict is the control plane's; the rest of the status stays the agent's.
  call.cancel();
  client.close();
  await vi.waitFor(
    async () => {
      const { conditions, moon } = (await newerAt('Node', undefined, 'node-1')).status;
      expect([conditions.find(({ type }: Message) => type === 'Ready').status, moon]).toEqual(['Unknown', 'full']);
    },
    { timeout: 10_000, interval: 50 },
  );
});

test('an older agent lives with a newer control plane: what it does not know it keeps, or leaves alone', async () => {
  await cluster.startReplica('cp-1'); // which it joins
  const pod = { ...newerRead('Pod', encodeObject(boundPod('p', 'node-1'))) };
  pod.spec.nest = { depth: 3 };
  pod.spec.containers[0].flavour = 'sweet';
  pod.metadata.resourceVersion = '5';
  const widget = { apiVersion: 'v1', kind: 'Widget', metadata: { name: 'w', namespace: 'default' } };
  const welcome = { node: { metadata: { name: 'node-1' } }, heartbeatMs, leaseMs, greeting: 'good morning' };
  const beats: number[] = [];
  const statuses: Message[] = [];

  const server = new Server();
  const session = (call: ServerDuplexStream<Message, Message>): void => {
    call.on('data', ({ hello, heartbeat, status }: Message) => {
      if (hello) {
        call.write({ welcome });
        call.write({ slice: { complete: true, objects: [{ widget }, { pod }], revision: '5' } });
        call.write({ slice: { removed: [{ kind: 'Widget', namespace: 'default', name: 'w' }], revision: '6' } });
      }
      if (heartbeat) {
        beats.push(heartbeat.sequence);
        call.write({ heartbeatAck: heartbeat });
      }
      if (status) {
        statuses.push(status);
        call.write({ statusAck: { sequence: status.sequence } });
      }
    });
    call.on('end', () => call.end());
    call.on('error', () => {});
  };
  const definition = {
    path,
    ...{ requestStream: true, responseStream: true },
    ...{ requestSerialize: bytesOf('SessionUp'), requestDeserialize: messageOf('SessionUp') },
    ...{ responseSerialize: bytesOf('SessionDown'), responseDeserialize: messageOf('SessionDown') },
  };
  server.addService({ Session: definition } as never, { Session: session } as never);
  const tls = new ReloadableTls(tlsMaterial(cluster.pki.authority, cluster.pki.server));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', serverCredentials(tls, true), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  try {
    // It joins at the one that is there, and opens its session with the newer one.
    const joining = { token: (await cluster.tokens.create({ role: 'node' })).token };
    const identity = await obtainIdentity(cluster.joinOptions('node-1', joining), new AbortController().signal);
    const transport = rpcTransport(identity);
    const agent = await cluster.startAgent('node-1', {
      transport: { open: (_address, requests, signal) => transport.open(`127.0.0.1:${port}`, requests, signal) },
    });
    await eventually(() => expect(agent.slice.get('Pod', 'default', 'p')).toBeDefined());
    agent.client.pod({ namespace: 'default', name: 'p', uid: pod.metadata.uid }, { phase: 'Running' });
    await eventually(() => expect(statuses.some(({ pods }) => pods?.[0]?.status.phase === 'Running')).toBe(true));
    await eventually(() => expect(beats.length).toBeGreaterThan(3));
    await agent.stop();
    // On disk for the agent of tomorrow.
    const file = await readFile(join(cluster.dataDir, 'node-1', 'slice'));
    const objects = newerRead('Slice', file.subarray(32)).objects as Message[];
    expect(objects.map((one) => Object.keys(one))).toEqual([['pod']]);
    expect([objects[0].pod.spec.nest, objects[0].pod.spec.containers[0].flavour]).toEqual([{ depth: 3 }, 'sweet']);
  } finally {
    server.forceShutdown();
  }
});
