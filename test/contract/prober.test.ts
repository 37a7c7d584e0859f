/** Probes over real sockets and the fake runtime's exec. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { createProber } from '../../node-agent/pods/prober.ts';
import { createFakeHost } from '../../node-agent/runtime/fake.ts';

const never = new AbortController().signal;
const host = createFakeHost({
  clock: systemClock,
  exec: (_container, { argv }) => ({ stdout: argv[1] ?? '', exitCode: argv[0] === 'true' ? 0 : 1 }),
});
const runtime = host.runtime();
const prober = createProber(runtime, systemClock);
let server: Server;
let port = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/hang') return;
    response.writeHead(Number(request.url?.slice(1)) || 200, { location: '/elsewhere' });
    response.end(request.headers['x-probe'] ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const http = (path: string, timeoutMs = 2_000) =>
  prober.ask({ type: 'http', host: '127.0.0.1', port, path, scheme: 'HTTP', headers: {} }, timeoutMs, never);

describe('http', () => {
  test.each([
    ['/200', true],
    ['/204', true],
    ['/302', true],
    ['/400', false],
    ['/503', false],
  ])('%s', async (path, success) => {
    expect(await http(path)).toEqual({ success, message: `HTTP status ${path.slice(1)}` });
  });
  test('no answer in time is a failure that says so', async () => {
    expect(await http('/hang', 100)).toEqual({ success: false, message: 'no answer within 100 ms' });
  });
});

describe('tcp', () => {
  test('a port that is open, and one that is not', async () => {
    expect((await prober.ask({ type: 'tcp', host: '127.0.0.1', port }, 1_000, never)).success).toBe(true);
    const closed = createTcpServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const freePort = (closed.address() as AddressInfo).port;
    await new Promise((resolve) => closed.close(resolve));
    const answer = await prober.ask({ type: 'tcp', host: '127.0.0.1', port: freePort }, 1_000, never);
    expect(answer.success).toBe(false);
    expect(answer.message).toContain('ECONNREFUSED');
  });
});

describe('exec', () => {
  const id = 'uid-main-0';
  beforeAll(async () => {
    const nothing = { hostNetwork: false, hostPID: false, hostIPC: false, resources: {} };
    const pod = { podUid: 'uid', podName: 'web', podNamespace: 'default', hostname: 'web', ...nothing };
    await runtime.createSandbox(pod);
    await runtime.createContainer({
      ...{ id, podUid: 'uid', name: 'main', attempt: 0, imageId: 'i', argv: ['server'], env: {}, workingDir: '/' },
      ...{ user: '', mounts: [], resources: {}, readOnlyRootFilesystem: false, privileged: false, terminal: false },
      ...{ capabilitiesAdd: [], capabilitiesDrop: [], stdin: false, logPath: '/l', logMaxBytes: 1 },
    });
    await runtime.startContainer(id);
  });
  test.each([
    [['true'], { success: true, message: 'exit status 0' }],
    [['false', 'why'], { success: false, message: 'exit status 1: why' }],
  ])('%j', async (argv, expected) => {
    expect(await prober.ask({ type: 'exec', containerId: id, argv }, 1_000, never)).toEqual(expected);
  });
  test('in a container that is gone is a failure, not an error', async () => {
    const answer = await prober.ask({ type: 'exec', containerId: 'gone', argv: ['true'] }, 1_000, never);
    expect(answer.success).toBe(false);
    expect(answer.message).toContain('does not exist');
  });
});

test('an abandoned probe ends at once', async () => {
  const abort = new AbortController();
  const check = { type: 'http', host: '127.0.0.1', port, path: '/hang', scheme: 'HTTP', headers: {} } as const;
  const asked = prober.ask(check, 60_000, abort.signal);
  abort.abort();
  expect((await asked).success).toBe(false);
});
