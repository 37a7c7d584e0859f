/**
 * Machines and pods of the network contract tests: network namespaces held open by a `sleep` that ends by itself, on a
 * switch of their own. Nothing of it is visible in the host's namespace.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Exec } from '../../lib/process.ts';
import { systemExec } from '../../lib/process.ts';
import type { SliceChange, SliceReader } from '../../node-agent/session/slice.ts';
import type { EndpointSlice, KubeObject, Node, Service } from '../../proto/gen/types.ts';

const host = systemExec();

export interface Netns {
  readonly path: string;
  readonly exec: Exec;
}

/** An Exec whose commands run in a network namespace. */
function execIn(path: string): Exec {
  const enter = (argv: readonly string[]): string[] => ['nsenter', `--net=${path}`, ...argv];
  return {
    run: (argv, options) => host.run(enter(argv), options),
    check: (argv, options) => host.check(enter(argv), options),
    start: (argv, options) => host.start(enter(argv), options),
  };
}

export class Underlay {
  private readonly children: ChildProcess[] = [];
  private rack: Netns | undefined;

  /** `user`: the namespace belongs to a user namespace of its own, as a pod's does. */
  async netns(owner: 'init' | 'user' = 'init'): Promise<Netns> {
    const argv = ['unshare', ...(owner === 'user' ? ['--user'] : []), '--net', 'sleep', '120'];
    const child = this.keep(host.start(argv, { stdio: 'ignore' }));
    const path = `/proc/${child.pid}/ns/net`;
    const own = (await host.check(['readlink', '/proc/self/ns/net'])).stdout;
    await until('a new network namespace', async () => {
      const { stdout } = await host.run(['readlink', path]);
      const { stdout: command } = await host.run(['cat', `/proc/${child.pid}/comm`]);
      return stdout !== '' && stdout !== own && command === 'sleep\n';
    });
    return { path, exec: execIn(path) };
  }

  /** A machine with `eth0` at the address, on the switch. */
  async machine(address: string): Promise<Netns> {
    if (!this.rack) {
      this.rack = await this.netns();
      await ip(this.rack, ['link add rack0 type bridge', 'link set rack0 up']);
    }
    const machine = await this.netns();
    const port = `port${address.split('.').at(-1)}`;
    await ip(this.rack, [
      `link add ${port} type veth peer name eth0 netns ${machine.path}`,
      `link set ${port} master rack0 up`,
    ]);
    await ip(machine, ['link set lo up', `addr add ${address}/24 dev eth0`, 'link set eth0 up']);
    return machine;
  }

  /** A TCP server that says `word` and closes. */
  async serve(netns: Netns, port: number, word: string): Promise<void> {
    const argv = ['busybox', 'nc', '-ll', '-p', String(port), '-e', '/bin/busybox', 'echo', word];
    this.keep(netns.exec.start(argv, { stdio: 'ignore' }));
    await until(`a server on port ${port}`, async () =>
      (await netns.exec.check(['ss', '-tlnH'])).stdout.includes(`:${port} `),
    );
  }

  /** A UDP server that answers any packet with `word`. */
  async serveUdp(netns: Netns, port: number, word: string): Promise<void> {
    const program =
      `const socket = require('node:dgram').createSocket('udp4');` +
      `socket.on('message', (_, from) => socket.send('${word}', from.port, from.address)); socket.bind(${port});`;
    this.keep(netns.exec.start([process.execPath, '-e', program], { stdio: 'ignore' }));
    await until(`a UDP server on port ${port}`, async () =>
      (await netns.exec.check(['ss', '-ulnH'])).stdout.includes(`:${port} `),
    );
  }

  keep(child: ChildProcess): ChildProcess {
    this.children.push(child);
    return child;
  }

  async end(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all(
      this.children.map((child) => child.exitCode ?? child.signalCode ?? new Promise((done) => child.on('exit', done))),
    );
  }
}

export async function ip(netns: Netns, commands: readonly string[]): Promise<void> {
  await netns.exec.check(['ip', '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** What a TCP connection gets to read; undefined when it is refused or nothing answers within 2 s. */
export async function ask(netns: Netns, address: string, port: number): Promise<string | undefined> {
  const argv = ['busybox', 'nc', '-w', '2', address, String(port)];
  const { exitCode, stdout } = await netns.exec.run(argv, { timeoutMs: 5000 });
  return exitCode === 0 ? stdout.trim() : undefined;
}

/** The answers to a number of UDP packets, each from a port of its own; sorted and without repeats. */
export async function askUdp(netns: Netns, address: string, port: number, packets: number): Promise<string[]> {
  const program =
    `const { createSocket } = require('node:dgram'); const words = new Set(); let left = ${packets};` +
    `for (let i = 0; i < ${packets}; i += 1) { const socket = createSocket('udp4');` +
    `const end = (word) => { words.add(word); socket.close(); if ((left -= 1) === 0) console.log([...words].sort().join()), process.exit(); };` +
    `socket.on('error', (error) => end(error.code)); socket.on('message', (message) => end(String(message)));` +
    `socket.connect(${port}, '${address}', () => socket.send('x')); }` +
    `setTimeout(() => { console.log('silence'); process.exit(); }, 3000);`;
  return (await netns.exec.check([process.execPath, '-e', program])).stdout.trim().split(',');
}

export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`no ${what} within ${timeoutMs} ms`);
    await delay(10);
  }
}

/** A slice that the test writes itself. */
export class TestSlice implements SliceReader {
  revision: string | undefined = '1';
  private objects: readonly KubeObject[] = [];
  private readonly callbacks = new Set<(change: SliceChange) => void>();

  set(objects: readonly KubeObject[]): void {
    this.objects = objects;
    const kinds = new Set(['Service', 'EndpointSlice', 'Node', 'Pod'] as const);
    for (const callback of this.callbacks) callback({ kinds, podUIDs: new Set() });
  }

  all(): readonly KubeObject[] {
    return this.objects;
  }

  get: SliceReader['get'] = (kind, namespace, name) =>
    this.list(kind).find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);

  list: SliceReader['list'] = (kind) => this.objects.filter((object) => object.kind === kind) as never;

  onChange(callback: (change: SliceChange) => void): () => void {
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }
}

export function node(name: string, address: string, podCIDR: string): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR },
    status: { addresses: [{ type: 'InternalIP', address }] },
  };
}

export function service(name: string, clusterIP: string, ports: Service['spec']['ports'], more: object = {}): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name },
    spec: { clusterIP, ...(ports && { ports }), ...more },
  };
}

export function endpoints(name: string, addresses: readonly string[], ports: EndpointSlice['ports']): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ...(ports && { ports }),
  };
}
