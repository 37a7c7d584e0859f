/** One real control plane with its real etcd, on loopback and in a folder of its own. */
import type { ChildProcess } from 'node:child_process';
import { createReadStream, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../../../cli/config.ts';
import { connectTo } from '../../../cli/connection.ts';
import { systemClock } from '../../../lib/clock.ts';
import { adminConfPath } from '../../../lib/pki/cluster-pki.ts';
import { systemExec } from '../../../lib/process.ts';
import type { ClusterClient } from '../cluster.ts';
import { onInterrupt } from './interrupted.ts';
import { childNamed, cpuSeconds, memoryBytes } from './machine.ts';
import { Profiler } from './profiler.ts';

export interface PlaneOptions {
  readonly nodeHeartbeatMs?: number;
  readonly nodeLeaseMs?: number;
  /** Has a `profiler`. */
  readonly profile?: boolean;
}

const program = fileURLToPath(new URL('../../../control-plane/main.ts', import.meta.url));
const startTimeoutMs = 60_000;
const stopTimeoutMs = 30_000;
/** Room for 16,384 nodes. */
const clusterCIDR = '10.64.0.0/10';

export class Plane {
  readonly folder: string;
  readonly address: string;
  readonly joinPort: number;
  /** Its etcd, for clients with a certificate. */
  readonly etcdAddress: string;
  readonly pid: number;
  readonly cluster: ClusterClient;
  readonly profiler: Profiler | undefined;
  readonly #process: ChildProcess;
  readonly #forget: () => void;

  private constructor(
    folder: string,
    ports: readonly number[],
    child: ChildProcess,
    { cluster, profiler }: { readonly cluster: ClusterClient; readonly profiler: Profiler | undefined },
  ) {
    this.folder = folder;
    this.address = `127.0.0.1:${ports[0]}`;
    this.joinPort = ports[1]!;
    this.etcdAddress = `127.0.0.1:${ports[3]}`;
    this.pid = child.pid!;
    this.cluster = cluster;
    this.profiler = profiler;
    this.#process = child;
    // It outlives a control plane that was killed: known from the begin.
    const etcd = childNamed(child.pid!, 'etcd');
    this.#forget = onInterrupt(() => {
      child.kill('SIGKILL');
      if (etcd !== undefined) endIfAlive(etcd);
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    });
  }

  static async start({
    nodeHeartbeatMs = 1000,
    nodeLeaseMs = 3000,
    profile = false,
  }: PlaneOptions = {}): Promise<Plane> {
    const folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
    const ports = await freePorts(6);
    const node = profile ? [`--inspect=127.0.0.1:${ports[5]}`] : [];
    const flags = {
      'data-dir': join(folder, 'data'),
      name: 'bench',
      listen: `127.0.0.1:${ports[0]}`,
      'join-listen': `127.0.0.1:${ports[1]}`,
      'dns-listen': `127.0.0.1:${ports[2]}`,
      'advertise-address': '127.0.0.1',
      'cluster-cidr': clusterCIDR,
      'etcd-client-port': ports[3],
      'etcd-peer-port': ports[4],
      'node-heartbeat-ms': nodeHeartbeatMs,
      'node-lease-ms': nodeLeaseMs,
    };
    const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const log = openSync(join(folder, 'log'), 'a');
    const child = systemExec().start([process.execPath, ...node, program, ...argv], { stdio: ['ignore', log, log] });
    try {
      const cluster = await reached(join(folder, 'data'), child, join(folder, 'log'));
      const profiler = profile ? await Profiler.attach(ports[5]!) : undefined;
      return new Plane(folder, ports, child, { cluster, profiler });
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  get etcdPid(): number | undefined {
    return childNamed(this.pid, 'etcd');
  }

  cpuSeconds(): number {
    return cpuSeconds(this.pid);
  }

  residentBytes(): number {
    return memoryBytes(this.pid, 'VmRSS');
  }

  mostResidentBytes(): number {
    return memoryBytes(this.pid, 'VmHWM');
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(name);
  }

  get ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Lines of its log with this message. */
  async logged(message: string): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = [];
    for await (const line of createInterface({ input: createReadStream(join(this.folder, 'log')) })) {
      if (!line.includes(message)) continue;
      try {
        found.push(JSON.parse(line) as Record<string, unknown>);
      } catch {
        // not one of its own lines
      }
    }
    return found;
  }

  /** What it warned of, most often first. */
  async warnings(most: number): Promise<{ readonly message: string; readonly times: number }[]> {
    const times = new Map<string, number>();
    for (const { level, msg, cause, error } of await this.logged('"level":')) {
      if (!(typeof level === 'number' && level >= 40)) continue;
      const reason = cause ?? error;
      const message = `${msg}${reason === undefined ? '' : `: ${String(reason).replaceAll(/[\w-]*\d[\w.:-]*/g, 'N')}`}`;
      times.set(message, (times.get(message) ?? 0) + 1);
    }
    const found = [...times].map(([message, count]) => ({ message, times: count }));
    return found.sort((a, b) => b.times - a.times).slice(0, most);
  }

  /** Nodes that were declared dead. */
  async nodesLost(): Promise<number> {
    return (await this.logged('a node has not been heard for a whole lease; it is lost')).length;
  }

  get dataDir(): string {
    return join(this.folder, 'data');
  }

  /** In order; then everything but the folder is gone. */
  async stop(): Promise<void> {
    if (this.ended) return;
    this.profiler?.close();
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGCONT');
    this.#process.kill('SIGTERM');
    const killer = systemClock.schedule(stopTimeoutMs, () => this.#process.kill('SIGKILL'));
    await ended;
    killer.cancel();
  }

  async remove(): Promise<void> {
    const etcd = this.ended ? undefined : this.etcdPid;
    await this.stop();
    if (etcd !== undefined) endIfAlive(etcd);
    this.#forget();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Its etcd outlives a control plane that had to be killed. */
function endIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone, as it should be
  }
}

async function reached(dataDir: string, child: ChildProcess, log: string): Promise<ClusterClient> {
  const deadlineMs = systemClock.monotonicMs() + startTimeoutMs;
  for (;;) {
    try {
      const cluster = connectTo(readConfig(adminConfPath(dataDir)));
      const { leader } = await cluster.GetClusterInfo({});
      if (leader) return cluster;
    } catch (error) {
      if (child.exitCode !== null || systemClock.monotonicMs() > deadlineMs) {
        throw new Error(`the control plane did not start (see ${log})`, { cause: error });
      }
    }
    await systemClock.sleep(200);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen({ host: '127.0.0.1', port: 0 }, () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
