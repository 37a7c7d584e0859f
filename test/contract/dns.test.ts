/** DNS with real packets: dig, glibc's resolver and busybox's, over UDP and TCP, from a pod's namespace and from here. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { type DnsListener, listenDns } from '../../lib/dns/listener.ts';
import { createRecordsBuilder } from '../../lib/dns/records.ts';
import { createResponder } from '../../lib/dns/respond.ts';
import { createUpstream } from '../../lib/dns/upstream.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import type { KubeObject, Pod } from '../../proto/gen/types.ts';
import { endpoints, ip, type Netns, service, TestSlice, Underlay, until } from './overlay-machines.ts';

const many = Array.from({ length: 60 }, (_, index) => `10.42.9.${index + 1}`);
const http = [{ name: 'http', port: 80 }];
const objects: KubeObject[] = [
  service('echo', '10.43.0.5', http),
  endpoints('echo', ['10.42.1.5'], [{ name: 'http', port: 8080 }]),
  service('many', 'None', http),
  endpoints('many', many, [{ name: 'http', port: 8080 }]),
  service('outside', '', undefined, { type: 'ExternalName', externalName: 'www.example.test' }),
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name: 'client', uid: 'client' },
    spec: { containers: [] },
    status: { podIP: '127.0.0.1' },
  } as Pod,
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name: 'inside', uid: 'inside' },
    spec: { containers: [] },
    status: { podIP: '10.42.1.7' },
  } as Pod,
];

const exec = systemExec();
const listeners: DnsListener[] = [];

async function serve(zone: string, content: readonly KubeObject[], upstreamPort?: number): Promise<DnsListener> {
  const slice = new TestSlice();
  slice.set(content);
  const records = createRecordsBuilder().build(slice);
  const servers = upstreamPort === undefined ? [] : [{ address: '127.0.0.1', port: upstreamPort }];
  const responder = createResponder({
    zone,
    reverseCIDRs: ['10.42.0.0/16', '10.43.0.0/16'],
    records: () => records,
    upstream: createUpstream({ servers: () => servers, clock: systemClock, random: systemRandom, timeoutMs: 300 }),
    random: systemRandom,
    log: silentLog,
  });
  const listener = await listenDns({ address: '127.0.0.1', port: 0, responder, log: silentLog });
  listeners.push(listener);
  return listener;
}

let dns: DnsListener;
beforeAll(async () => {
  // The world outside is another of our servers, whose zone is "test": its services are www.example.svc.test and so on.
  const world = await serve('test', [
    { ...service('www', '192.0.2.1', http), metadata: { namespace: 'example', name: 'www' } },
    { ...service('big', 'None', http), metadata: { namespace: 'example', name: 'big' } },
    {
      ...endpoints('big', many, undefined),
      metadata: { namespace: 'example', name: 'big', labels: { 'kubernetes.io/service-name': 'big' } },
    },
  ]);
  const named = objects.map((object) =>
    object.metadata.name === 'outside'
      ? service('outside', '', undefined, { type: 'ExternalName', externalName: 'www.example.svc.test' })
      : object,
  );
  dns = await serve('cluster.local', named, world.port);
});
afterAll(async () => {
  for (const listener of listeners) await listener.stop();
});

const dig = async (...argv: string[]): Promise<string> =>
  (await exec.check(['dig', '@127.0.0.1', '-p', String(dns.port), '+tries=1', '+time=3', ...argv])).stdout;
const short = async (...argv: string[]): Promise<string[]> =>
  (await dig('+short', ...argv)).split('\n').filter(Boolean).sort();

test('dig reads every kind of answer', async () => {
  expect(await short('echo.default.svc.cluster.local')).toEqual(['10.43.0.5']);
  expect(await short('-t', 'SRV', '_http._tcp.echo.default.svc.cluster.local')).toEqual([
    '0 100 80 echo.default.svc.cluster.local.',
  ]);
  expect(await short('-t', 'TXT', 'dns-version.cluster.local')).toEqual(['"1.1.0"']);
  expect(await short('-x', '10.43.0.5')).toEqual(['echo.default.svc.cluster.local.']);
  expect(await short('-t', 'CNAME', 'outside.default.svc.cluster.local')).toEqual(['www.example.svc.test.']);
  expect(await dig('echo.default.svc.cluster.local', 'AAAA')).toMatch(/NOERROR.*ANSWER: 0, AUTHORITY: 1/s);
  expect(await dig('nosuch.default.svc.cluster.local', '-t', 'TXT')).toContain('NXDOMAIN');
});

test('names outside are asked upstream: as they are, behind an ExternalName, and behind a search domain', async () => {
  expect(await short('www.example.svc.test')).toEqual(['192.0.2.1']);
  expect(await short('outside.default.svc.cluster.local')).toEqual(['192.0.2.1', 'www.example.svc.test.']);
  expect(await short('www.example.svc.test.default.svc.cluster.local')).toEqual(['192.0.2.1', 'www.example.svc.test.']);
  expect(await dig('nosuch.example.svc.test')).toContain('NXDOMAIN');
});

test('an answer too long for UDP is cut and whole over TCP, ours and upstream alike', async () => {
  for (const name of ['many.default.svc.cluster.local', 'big.example.svc.test']) {
    expect(await dig('+ignore', '+noedns', name)).toMatch(/flags: [a-z ]*\btc\b/);
    expect(await short('+noedns', name)).toHaveLength(60);
    expect(await short('+tcp', name)).toHaveLength(60);
  }
  // Whole with EDNS's larger size, and in another order each time.
  const twice = [
    await dig('+short', 'many.default.svc.cluster.local'),
    await dig('+short', 'many.default.svc.cluster.local'),
  ];
  expect(twice[0]!.split('\n')).toHaveLength(61);
  expect(twice[0]).not.toBe(twice[1]);
});

test('random bytes, answers and connections that say nonsense do not disturb it', async () => {
  const socket = createSocket('udp4');
  let answersToAnswers = 0;
  socket.on('message', (message) => {
    if (message[0] === 0xab) answersToAnswers += 1;
  });
  for (let index = 0; index < 500; index += 1) {
    const noise = Buffer.from(systemRandom.bytes(1 + (index % 600)));
    noise[0] = 0;
    socket.send(noise, dns.port, '127.0.0.1');
  }
  const response = Buffer.from('ab00818000010000000000000000010001', 'hex');
  socket.send(response, dns.port, '127.0.0.1');
  const tcp = createConnection(dns.port, '127.0.0.1');
  tcp.on('error', () => {});
  tcp.end(Buffer.from(systemRandom.bytes(2000)));
  await once(tcp, 'close');
  expect(await short('echo.default.svc.cluster.local')).toEqual(['10.43.0.5']);
  expect(answersToAnswers).toBe(0);
  socket.close();
});

const underlay = new Underlay();
afterAll(() => underlay.end());

async function inPod(pod: Netns, script: string): Promise<string> {
  const resolv =
    'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.43.0.10\noptions ndots:5\n';
  const command = `mount -t tmpfs tmpfs /mnt && printf '%s' "$1" > /mnt/resolv.conf && mount --bind /mnt/resolv.conf /etc/resolv.conf && ${script}`;
  const result = await pod.exec.run(['unshare', '--mount', 'sh', '-c', command, 'sh', resolv], { timeoutMs: 20_000 });
  return result.stdout + result.stderr;
}

test("a pod resolves short names through its node's DNS: glibc and busybox", async () => {
  const machine = await underlay.machine('192.168.77.21');
  const pod = await underlay.netns();
  await ip(machine, [
    `link add gtpod type veth peer name eth0 netns ${pod.path}`,
    'link set gtpod up',
    'route add 10.42.1.7/32 dev gtpod',
    'address add 169.254.1.1/32 dev gtpod',
  ]);
  await ip(pod, [
    'link set lo up',
    'address add 10.42.1.7/32 dev eth0',
    'link set eth0 up',
    'route add 169.254.1.1/32 dev eth0',
    'route add default via 169.254.1.1 dev eth0',
  ]);
  const script = new URL('./dns-server.ts', import.meta.url).pathname;
  const server = underlay.keep(
    machine.exec.start([process.execPath, script, JSON.stringify(objects)], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  let ready = false;
  server.stdout!.on('data', () => {
    ready = true;
  });
  await until('DNS on the node', async () => ready);
  expect(await inPod(pod, 'getent hosts echo')).toMatch(/^10\.43\.0\.5\s/);
  expect(await inPod(pod, 'getent hosts echo.default')).toMatch(/^10\.43\.0\.5\s/);
  expect(await inPod(pod, 'busybox nslookup echo.default.svc.cluster.local')).toContain('Address: 10.43.0.5');
  expect(await inPod(pod, 'busybox nslookup echo')).toContain('10.43.0.5');
  expect(await inPod(pod, 'getent hosts nosuch || echo none')).toBe('none\n');
  // One question is enough, whatever ndots says.
  const asked = await inPod(pod, 'dig +search +ndots=5 +noall +question +answer echo.default.svc.cluster.local');
  expect(asked).toMatch(/^;echo\.default\.svc\.cluster\.local\.default\.svc\.cluster\.local\..*10\.43\.0\.5/s);
  expect((await machine.exec.check(['ip', '-br', 'address', 'show', 'lo'])).stdout).toContain('10.43.0.10/32');
});
