/** Logs, exec and stats from a client's call at the control plane to the agent and back, over real gRPC on loopback. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { proxyHandlers } from '../../control-plane/session/proxy.ts';
import { MutableClusterState } from '../../control-plane/state/cluster-state.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { type Authority, createAuthority, issueIdentity, type Subject } from '../../lib/pki/certificates.ts';
import { tlsMaterial, user } from '../../lib/pki/cluster-pki.ts';
import { systemRandom } from '../../lib/random.ts';
import { connect } from '../../lib/rpc/client.ts';
import type { CallContext } from '../../lib/rpc/serve-call.ts';
import { nodeServerName } from '../../lib/rpc/server-name.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import { logFile } from '../../node-agent/pods/paths.ts';
import { createFakeHost, type FakeRuntime } from '../../node-agent/runtime/fake.ts';
import { startAgentServer } from '../../node-agent/server/agent-service.ts';
import { createPodDirectory } from '../../node-agent/server/pod-directory.ts';
import type { ExecRequest, ExecResponse, KubeObject, LogsRequest, Node, Pod } from '../../proto/gen/types.ts';

let folder: string;
let runtime: FakeRuntime;
let server: RunningServer;
let state: MutableClusterState;
let authority: Authority;
let handlers: ReturnType<typeof proxyHandlers>;
let revision = 0n;

const dependencies = { clock: systemClock, random: systemRandom };
const nodeSubject: Subject = {
  commonName: 'node:n1',
  organization: 'node',
  names: [nodeServerName('n1')],
  lifetimeMs: 3_600_000,
  usages: ['server', 'client'],
};
const context: CallContext = {
  peer: { commonName: 'me', organization: 'admin', address: '' },
  signal: new AbortController().signal,
  setTrailer: () => {},
};

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid: 'u1' },
  spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'x' }] },
};

async function tlsOf(subject: Subject, clock: Clock = systemClock): Promise<ReloadableTls> {
  return new ReloadableTls(tlsMaterial(authority, await issueIdentity(authority, subject, { ...dependencies, clock })));
}

function put(object: KubeObject): void {
  revision += 1n;
  const metadata = { ...object.metadata, resourceVersion: String(revision) };
  const stored = { ...object, metadata } as KubeObject;
  state.apply([{ key: keyOf(stored), object: stored }], revision);
}

function putNode(port: number, reason = 'KubeletReady'): void {
  const node: Node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    spec: {},
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
      conditions: [{ type: 'Ready', status: reason === 'KubeletReady' ? 'True' : 'Unknown', reason }],
    },
  };
  put(node);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-agent-'));
  const folders = { dataDir: folder, runDir: folder };
  authority = await createAuthority('gantry', dependencies);
  runtime = createFakeHost({
    clock: systemClock,
    exec: (_container, request) => {
      if (request.argv[0] === 'nope') return { exitCode: 127, stderr: 'nope: not found\n' };
      return { stdout: `${request.argv.join(' ')}\n`, exitCode: 3 };
    },
  }).runtime();
  const directory = createPodDirectory({ pods: { uids: () => ['u1'], pod: () => pod }, runtime, folders });
  server = await startAgentServer({
    listen: '127.0.0.1:0',
    tls: await tlsOf(nodeSubject),
    runtime,
    directory,
    clock: systemClock,
    log: silentLog,
  });
  state = new MutableClusterState();
  state.replace([], 1n);
  revision = 1n;
  put(pod);
  putNode(server.port);
  const controlPlane: Subject = { ...nodeSubject, commonName: 'control-plane:a', organization: 'control-plane' };
  handlers = proxyHandlers({ snapshot: state, tls: await tlsOf(controlPlane) });
  const file = logFile(folders, pod, 'main', 1);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(logFile(folders, pod, 'main', 0), '2030-01-01T00:00:00Z stdout F former\n');
  await writeFile(file, '2030-01-01T00:00:01Z stdout F one\n2030-01-01T00:00:02Z stderr F two\n');
});

afterEach(async () => {
  await server.stop(0);
  await rm(folder, { recursive: true });
});

async function logs(request: LogsRequest): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of handlers.Logs(request, context)) chunks.push(data!);
  return Buffer.concat(chunks).toString();
}

async function exec(...requests: ExecRequest[]): Promise<ExecResponse[]> {
  const responses: ExecResponse[] = [];
  async function* input(): AsyncGenerator<ExecRequest> {
    yield* requests;
  }
  for await (const response of handlers.Exec(input(), context)) responses.push(response);
  return responses;
}

async function startContainer(): Promise<void> {
  const podUid = 'u1';
  await runtime.createSandbox({
    podUid,
    podName: 'web',
    podNamespace: 'default',
    hostname: 'web',
    hostNetwork: false,
    hostPID: false,
    hostIPC: false,
    resources: {},
  });
  await runtime.createContainer({
    id: 'u1-main-1',
    podUid,
    name: 'main',
    attempt: 1,
    imageId: 'x',
    argv: ['serve'],
    env: {},
    workingDir: '/',
    user: '',
    mounts: [],
    resources: {},
    readOnlyRootFilesystem: false,
    privileged: false,
    capabilitiesAdd: [],
    capabilitiesDrop: [],
    terminal: false,
    stdin: false,
    logPath: join(folder, 'unused.log'),
    logMaxBytes: 1_000_000,
  });
  await runtime.startContainer('u1-main-1');
}

describe('logs', () => {
  test('come from the pod’s node', async () => {
    expect(await logs({ namespace: 'default', pod: 'web' })).toBe('one\ntwo\n');
    expect(await logs({ pod: 'web', tailLines: 1, timestamps: true })).toBe('2030-01-01T00:00:02Z two\n');
    expect(await logs({ pod: 'web', previous: true })).toBe('former\n');
    expect(await logs({ pod: 'web', follow: true })).toBe('one\ntwo\n');
  });

  test.each<[LogsRequest, RegExp]>([
    [{ pod: 'nope' }, /pod "nope" does not exist in namespace "default"; see `ctl get pods -n default`/],
    [{ pod: 'web', container: 'side' }, /no container "side"; it has: main/],
  ])('%j is refused with a reason', async (request, sentence) => {
    await expect(logs(request)).rejects.toThrow(sentence);
  });

  test('of a pod that is not placed yet say why it is not', async () => {
    const status = { conditions: [{ type: 'PodScheduled', status: 'False' as const, message: '0/3 nodes fit' }] };
    put({ ...pod, metadata: { ...pod.metadata, name: 'pending' }, spec: { containers: [] }, status });
    await expect(logs({ pod: 'pending' })).rejects.toThrow(/is not on a node yet: 0\/3 nodes fit/);
  });

  test('of a node that is lost, or does not answer, say so at once', async () => {
    putNode(server.port, 'NodeStatusUnknown');
    await expect(logs({ pod: 'web' })).rejects.toThrow(/n1 does not answer .*can be read when it is back/);
    putNode(1);
    await expect(logs({ pod: 'web' })).rejects.toThrow(/n1 does not answer/);
  });
});

describe('exec', () => {
  test('runs in the container and ends with its exit code', async () => {
    await startContainer();
    const responses = await exec({ start: { pod: 'web', command: ['echo', 'hi'] } });
    expect(responses.map(({ stdout }) => Buffer.from(stdout ?? []).toString()).join('')).toBe('echo hi\n');
    expect(responses.at(-1)).toEqual({ exitCode: 3 });
    expect((await exec({ start: { pod: 'web', command: ['nope'] } })).at(-1)).toEqual({ exitCode: 127 });
  });

  test.each<[ExecRequest[], RegExp]>([
    [[], /first message of Exec must be `start`/],
    [[{ stdin: new Uint8Array() }], /first message of Exec must be `start`/],
    [[{ start: { pod: 'web' } }], /exec needs a command/],
    [[{ start: { pod: 'web', command: ['x'] } }], /container main of pod web is not running/],
  ])('%j is refused', async (requests, sentence) => {
    await expect(exec(...requests)).rejects.toThrow(sentence);
  });
});

describe('the agent’s port', () => {
  const dial = async (tls: ReloadableTls | { caPem: string }) => {
    const connection = connect({ address: `127.0.0.1:${server.port}`, tls, serverName: nodeServerName('n1') });
    try {
      return await connection.client('Agent').Stats({});
    } finally {
      connection.close();
    }
  };

  test('tells the control plane what is used', async () => {
    await startContainer();
    const controlPlane = await tlsOf({ ...nodeSubject, commonName: 'control-plane:a', organization: 'control-plane' });
    const { pods } = await dial(controlPlane);
    expect(pods).toEqual([
      {
        namespace: 'default',
        name: 'web',
        uid: 'u1',
        windowMs: expect.any(Number),
        containers: [expect.objectContaining({ name: 'main' })],
      },
    ]);
  });

  test('is closed to everybody else, each told why', async () => {
    await expect(dial(await tlsOf(user('eve', 'admin')))).rejects.toThrow(
      /control plane alone, and this is "eve" \(admin\)/,
    );
    await expect(dial(await tlsOf({ ...nodeSubject, commonName: 'node:n2' }))).rejects.toThrow(
      /this is "node:n2" \(node\)/,
    );
    await expect(dial({ caPem: authority.certPem })).rejects.toThrow(GantryError);
    const longAgo: Clock = { ...systemClock, nowMs: () => Date.now() - 10 * 3_600_000 };
    await expect(dial(await tlsOf(nodeSubject, longAgo))).rejects.toThrow(GantryError);
    const foreign = await createAuthority('other', dependencies);
    const stranger = await issueIdentity(foreign, nodeSubject, dependencies);
    const material = { ...tlsMaterial(foreign, stranger), caPem: authority.certPem };
    await expect(dial(new ReloadableTls(material))).rejects.toThrow(GantryError);
  });

  test('takes random bytes without harm', async () => {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const socket = connectTcp({ host: '127.0.0.1', port: server.port });
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write(Buffer.from(systemRandom.bytes(2_000)));
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect(await logs({ pod: 'web' })).toBe('one\ntwo\n');
  });
});
