/** Service addresses on real nftables: two machines, pods behind a service on both, clients in pods and on the nodes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { HostPort } from '../../node-agent/network/network.ts';
import { createPodNetwork, type RunningPodNetwork } from '../../node-agent/network/pod-network.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import {
  ask,
  askUdp,
  endpoints,
  ip,
  type Netns,
  node,
  service,
  TestSlice,
  Underlay,
  until,
} from './overlay-machines.ts';

const underlay = new Underlay();
const slice = new TestSlice();
const machines: Netns[] = [];
const networks: RunningPodNetwork[] = [];
let podA: Netns;
let podB: Netns;
let client: Netns;
let outside: Netns;

const nodes = [node('node-1', '192.168.78.11', '10.42.1.0/24'), node('node-2', '192.168.78.12', '10.42.2.0/24')];
const http = [{ port: 80 }];
const target = [{ port: 8080 }];
const echo = service('echo', '10.43.0.5', [{ port: 80, nodePort: 30080 }], { type: 'NodePort' });
const empty = service('empty', '10.43.0.6', http);

async function apply(objects: readonly KubeObject[]): Promise<void> {
  slice.set([...nodes, ...objects]);
  for (const network of networks) await network.synced();
}

async function podOn(number: number, address: string, hostPorts: readonly HostPort[] = []): Promise<Netns> {
  const pod = await underlay.netns('user');
  await networks[number - 1]!.attach({ podUid: `uid-${address}`, netnsPath: pod.path, ip: address, hostPorts });
  return pod;
}

/** Who answers a number of calls in a row, sorted and without repeats. */
async function whoAnswers(from: Netns, address: string, port: number, calls = 6): Promise<(string | undefined)[]> {
  const answers: (string | undefined)[] = [];
  for (let call = 0; call < calls; call += 1) answers.push(await ask(from, address, port));
  return [...new Set(answers)].sort();
}

beforeAll(async () => {
  slice.set(nodes);
  for (const number of [1, 2]) {
    machines.push(await underlay.machine(`192.168.78.1${number}`));
    const network = createPodNetwork({
      nodeName: `node-${number}`,
      nodeIP: `192.168.78.1${number}`,
      exec: machines[number - 1]!.exec,
      log: silentLog,
      clock: systemClock,
      slice,
      clusterCIDR: '10.42.0.0/16',
      serviceCIDR: '10.43.0.0/16',
      dnsIP: '10.43.0.10',
    });
    networks.push(network);
    await network.start();
    // What a machine of the lab has: somewhere to send what it does not know.
    await ip(machines[number - 1]!, ['route add default via 192.168.78.99']);
  }
  podA = await podOn(1, '10.42.1.5', [{ protocol: 'TCP', hostPort: 9000, containerPort: 8080 }]);
  podB = await podOn(2, '10.42.2.5');
  client = await podOn(1, '10.42.1.6');
  outside = await underlay.machine('192.168.78.99');
  await underlay.serve(podA, 8080, 'A');
  await underlay.serve(podB, 8080, 'B');
  await apply([echo, empty, endpoints('echo', ['10.42.1.5', '10.42.2.5'], target)]);
});

afterAll(async () => {
  for (const network of networks) await network.stop();
  await underlay.end();
});

test('a ClusterIP leads to every endpoint, from pods and from nodes', async () => {
  expect(await whoAnswers(client, '10.43.0.5', 80)).toEqual(['A', 'B']);
  expect(await whoAnswers(machines[0]!, '10.43.0.5', 80)).toEqual(['A', 'B']);
  expect(await whoAnswers(machines[1]!, '10.43.0.5', 80)).toEqual(['A', 'B']);
});

test('a pod reaches itself through the service', async () => {
  await apply([echo, empty, endpoints('echo', ['10.42.1.5'], target)]);
  expect(await whoAnswers(podA, '10.43.0.5', 80, 2)).toEqual(['A']);
  await apply([echo, empty, endpoints('echo', ['10.42.1.5', '10.42.2.5'], target)]);
  expect(await whoAnswers(podA, '10.43.0.5', 80)).toEqual(['A', 'B']);
});

test('a node port leads to every endpoint, on every node, from outside and from pods', async () => {
  expect(await whoAnswers(outside, '192.168.78.11', 30080)).toEqual(['A', 'B']);
  expect(await whoAnswers(outside, '192.168.78.12', 30080)).toEqual(['A', 'B']);
  expect(await whoAnswers(client, '192.168.78.12', 30080)).toEqual(['A', 'B']);
});

test('a host port leads to its pod on its node alone, and goes with it', async () => {
  expect(await ask(outside, '192.168.78.11', 9000)).toBe('A');
  expect(await ask(outside, '192.168.78.12', 9000)).toBeUndefined();
  const second = await podOn(2, '10.42.2.9', [{ protocol: 'TCP', hostPort: 9001, containerPort: 8080 }]);
  await underlay.serve(second, 8080, 'second');
  expect(await ask(outside, '192.168.78.12', 9001)).toBe('second');
  await networks[1]!.detach('uid-10.42.2.9');
  expect(await ask(outside, '192.168.78.12', 9001)).toBeUndefined();
});

test('what has no endpoint is refused at once', async () => {
  for (const from of [client, machines[0]!]) {
    for (const [address, port] of [
      ['10.43.0.6', 80],
      ['10.43.0.5', 81],
      ['10.43.200.200', 80],
    ] as const) {
      const startedMs = performance.now();
      const { exitCode, stderr } = await from.exec.run(['busybox', 'nc', '-w', '5', address, String(port)]);
      expect({ exitCode, refused: /refused/.test(stderr) }).toEqual({ exitCode: 1, refused: true });
      expect(performance.now() - startedMs).toBeLessThan(1000);
    }
  }
});

test('UDP services: spread, node ports, refusal', async () => {
  const dns = service('dns', '10.43.0.8', [{ port: 53, protocol: 'UDP', nodePort: 30053 }], { type: 'NodePort' });
  const none = service('none', '10.43.0.9', [{ port: 53, protocol: 'UDP' }]);
  const pods = endpoints('dns', ['10.42.1.5', '10.42.2.5'], [{ port: 5353, protocol: 'UDP' }]);
  await underlay.serveUdp(podA, 5353, 'A');
  await underlay.serveUdp(podB, 5353, 'B');
  await apply([dns, none, pods]);
  expect(await askUdp(client, '10.43.0.8', 53, 6)).toEqual(['A', 'B']);
  expect(await askUdp(machines[1]!, '10.43.0.8', 53, 6)).toEqual(['A', 'B']);
  expect(await askUdp(outside, '192.168.78.12', 30053, 6)).toEqual(['A', 'B']);
  expect(await askUdp(client, '10.43.0.9', 53, 2)).toEqual(['ECONNREFUSED']);
});

test('a client keeps its endpoint when the service asks for that', async () => {
  const sticky = { ...echo, spec: { ...echo.spec, sessionAffinity: 'ClientIP' as const } };
  await apply([sticky, empty, endpoints('echo', ['10.42.1.5', '10.42.2.5'], target)]);
  const answers = await whoAnswers(client, '10.43.0.5', 80);
  expect([['A'], ['B']]).toContainEqual(answers);
});

test('a change of the slice is in force within moments, without being asked for', async () => {
  const gone = endpoints('echo', ['10.42.1.5', '10.42.2.5'], target);
  gone.endpoints![1]!.conditions = { ready: false };
  slice.set([...nodes, echo, empty, gone]);
  const rules = async (): Promise<string> =>
    (await machines[0]!.exec.check(['nft', 'list', 'table', 'ip', 'gantry'])).stdout;
  await until('a table without the endpoint', async () => !(await rules()).includes('10.42.2.5'), 1000);
  expect(await whoAnswers(client, '10.43.0.5', 80, 4)).toEqual(['A']);
});

test('a restarted agent leaves the rules in force and writes the same; a table that was lost comes back', async () => {
  const list = async (): Promise<string[]> =>
    (await machines[0]!.exec.check(['nft', 'list', 'ruleset'])).stdout.split('\n').sort();
  const before = await list();
  await networks[0]!.stop();
  expect(await ask(client, '10.43.0.5', 80)).toBe('A');
  const next = createPodNetwork({
    nodeName: 'node-1',
    nodeIP: '192.168.78.11',
    exec: machines[0]!.exec,
    log: silentLog,
    clock: systemClock,
    slice,
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    dnsIP: '10.43.0.10',
  });
  networks[0] = next;
  // The host port of the pod that is still there is known from its spec.
  slice.set([
    ...slice.all(),
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', name: 'a', uid: 'uid-10.42.1.5' },
      spec: {
        nodeName: 'node-1',
        containers: [{ name: 'a', image: 'a', ports: [{ containerPort: 8080, hostPort: 9000 }] }],
      },
      status: { podIP: '10.42.1.5' },
    } as KubeObject,
  ]);
  await next.start();
  await next.synced();
  expect(await list()).toEqual(before);
  await machines[0]!.exec.check(['nft', 'delete', 'table', 'ip', 'gantry']);
  slice.set([...slice.all(), service('late', '10.43.0.7', http), endpoints('late', ['10.42.1.5'], target)]);
  await next.synced().catch(() => next.synced());
  expect(await ask(client, '10.43.0.7', 80)).toBe('A');
});
