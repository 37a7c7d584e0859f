/** Three machines, each with the node network of an agent, on real VXLAN: pods reach pods wherever they are. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { podLinkName } from '../../node-agent/network/addresses.ts';
import { createPodNetwork, type RunningPodNetwork } from '../../node-agent/network/pod-network.ts';
import { ask, ip, type Netns, node, TestSlice, Underlay, until } from './overlay-machines.ts';

const underlay = new Underlay();
const slice = new TestSlice();
const machines: Netns[] = [];
const networks: RunningPodNetwork[] = [];
const pods: Netns[] = [];

const nodeIP = (number: number): string => `192.168.77.1${number}`;
const podIP = (number: number): string => `10.42.${number}.5`;
const numbers = [1, 2, 3];
const nodes = numbers.map((number) => node(`node-${number}`, nodeIP(number), `10.42.${number}.0/24`));

function networkOf(number: number): RunningPodNetwork {
  return createPodNetwork({
    nodeName: `node-${number}`,
    nodeIP: nodeIP(number),
    exec: machines[number - 1]!.exec,
    log: silentLog,
    clock: systemClock,
    slice,
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    dnsIP: '10.43.0.10',
  });
}

const attachment = (number: number) => ({
  podUid: `uid-${number}`,
  netnsPath: pods[number - 1]!.path,
  ip: podIP(number),
  hostPorts: [],
});

beforeAll(async () => {
  slice.set(nodes);
  for (const number of numbers) {
    machines.push(await underlay.machine(nodeIP(number)));
    pods.push(await underlay.netns('user'));
    const network = networkOf(number);
    networks.push(network);
    await network.start();
    await network.synced();
    await network.attach(attachment(number));
    await underlay.serve(pods[number - 1]!, 8080, `pod-${number}`);
  }
}, 30_000);

afterAll(async () => {
  for (const network of networks) await network.stop();
  await underlay.end();
});

test('every pod reaches every pod, itself and the nodes', async () => {
  for (const from of numbers) {
    for (const to of numbers) expect(await ask(pods[from - 1]!, podIP(to), 8080)).toBe(`pod-${to}`);
    const reached = await pods[from - 1]!.exec.run(['busybox', 'ping', '-c', '1', '-W', '2', nodeIP((from % 3) + 1)]);
    expect(reached.exitCode).toBe(0);
  }
});

test('nodes reach pods on other nodes', async () => {
  expect(await ask(machines[0]!, podIP(2), 8080)).toBe('pod-2');
  expect(await ask(machines[0]!, podIP(1), 8080)).toBe('pod-1');
});

test('the pods MTU is what the tunnel carries without fragments', async () => {
  const links = JSON.parse((await pods[0]!.exec.check(['ip', '-j', 'link', 'show', 'dev', 'eth0'])).stdout);
  expect(links[0].mtu).toBe(1450);
  const ping = ['busybox', 'ping', '-c', '1', '-W', '2', '-s', '1422', podIP(3)];
  expect((await pods[0]!.exec.run(ping)).exitCode).toBe(0);
  const { stdout } = await machines[0]!.exec.check(['nstat', '-asz', 'IpFragCreates']);
  expect(stdout).toMatch(/IpFragCreates\s+0 /);
});

test('pods reach the outside with the address of their node', async () => {
  const outside = await underlay.machine('192.168.77.99');
  await underlay.serve(outside, 7000, 'outside');
  expect(await ask(pods[0]!, '192.168.77.99', 7000)).toBe('outside');
});

test('a pod cannot send with an address that is not its own', async () => {
  await ip(pods[0]!, ['address add 10.42.2.77/32 dev eth0']);
  const spoofed = await pods[0]!.exec.run(['busybox', 'ping', '-c', '1', '-W', '1', '-I', '10.42.2.77', nodeIP(1)]);
  expect(spoofed.exitCode).not.toBe(0);
  await ip(pods[0]!, ['address delete 10.42.2.77/32 dev eth0']);
});

test('a restarted agent finds everything in place and leaves it alone', async () => {
  const before = (await machines[0]!.exec.check(['ip', '-j', 'link'])).stdout;
  await networks[0]!.stop();
  const next = networkOf(1);
  networks[0] = next;
  await next.start();
  await next.attach(attachment(1));
  await next.attach(attachment(1));
  await next.retain(new Set(['uid-1']));
  await next.synced();
  expect((await machines[0]!.exec.check(['ip', '-j', 'link'])).stdout).toBe(before);
  expect(await ask(pods[1]!, podIP(1), 8080)).toBe('pod-1');
});

test('an address moves from one pod to the next', async () => {
  const next = await underlay.netns('user');
  await networks[1]!.attach({ podUid: 'uid-next', netnsPath: next.path, ip: podIP(2), hostPorts: [] });
  await networks[1]!.detach('uid-2');
  await networks[1]!.detach('uid-2');
  await underlay.serve(next, 8080, 'next');
  expect(await ask(pods[0]!, podIP(2), 8080)).toBe('next');
});

test('a node that changes its address is followed, one that leaves is forgotten', async () => {
  await ip(machines[2]!, ['addr add 192.168.77.33/24 dev eth0']);
  slice.set([nodes[0]!, node('node-3', '192.168.77.33', '10.42.3.0/24')]);
  await networks[0]!.synced();
  const forwarding = await machines[0]!.exec.check(['bridge', 'fdb', 'show', 'dev', 'gantry.vx']);
  expect(forwarding.stdout.trim().split('\n')).toEqual([expect.stringContaining('dst 192.168.77.33')]);
  const { stdout } = await machines[0]!.exec.check(['ip', 'route', 'show', 'dev', 'gantry.vx']);
  expect(stdout.trim()).toBe('10.42.3.0/24 via 10.42.3.0 onlink');
});

test('a pod without a namespace is refused by name and leaves nothing', async () => {
  const before = (await machines[0]!.exec.check(['ip', '-br', 'link'])).stdout;
  const attachment = { podUid: 'uid-none', netnsPath: '/proc/1/no/such', ip: '10.42.1.66', hostPorts: [] };
  await expect(networks[0]!.attach(attachment)).rejects.toThrow('/proc/1/no/such');
  expect((await machines[0]!.exec.check(['ip', '-br', 'link'])).stdout).toBe(before);
});

test('retain removes what no pod claims, teardown leaves nothing', async () => {
  await networks[0]!.retain(new Set());
  await until('an empty list of links', async () => {
    const { exitCode } = await machines[0]!.exec.run(['ip', 'link', 'show', podLinkName('uid-1')]);
    return exitCode !== 0;
  });
  await networks[0]!.teardown();
  const { stdout } = await machines[0]!.exec.check(['ip', '-br', 'link']);
  expect(stdout).not.toMatch(/gantry|gt[0-9a-f]{12}/);
  expect((await machines[0]!.exec.check(['nft', 'list', 'ruleset'])).stdout).toBe('');
});
