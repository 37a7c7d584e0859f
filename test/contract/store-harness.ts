/** The two stores as the contract suite sees them: a store that can be made to crash and to be away. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { createEtcdStore } from '../../lib/store/etcd.ts';
import type { EtcdServerOptions } from '../../lib/store/etcd-launch.ts';
import { type EtcdServer, startEtcdServer } from '../../lib/store/etcd-server.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { Store, WatchBatch, WatchEvent } from '../../lib/store/store.ts';

export interface Harness {
  readonly store: Store;
  /** Ends the store's process at once; it comes back by itself. */
  crash(): Promise<void>;
  /** Until `back`, calls get no answer. */
  goAway(): void | Promise<void>;
  comeBack(): void;
  end(): Promise<void>;
}

/** The stores' limit in the suite, small enough to be exceeded in a test. */
export const maxOperations = 256;
export const callTimeoutMs = 2000;

export const harnesses: Readonly<Record<'memory' | 'etcd', () => Promise<Harness>>> = {
  async memory() {
    const store = createMemoryStore({ clock: systemClock, maxOperations });
    return {
      store,
      async crash() {
        store.setAvailable(false);
        setTimeout(() => store.setAvailable(true), 100);
      },
      goAway: () => store.setAvailable(false),
      comeBack: () => store.setAvailable(true),
      end: () => store.close(),
    };
  },

  async etcd() {
    const { server, end } = await startServer({ maxTxnOps: maxOperations });
    const store = createEtcdStore({
      endpoints: [server.endpoint],
      clock: systemClock,
      timeoutMs: callTimeoutMs,
      maxOperations,
      pageSize: 100, // so that lists of the suite take several pages
    });
    return {
      store,
      async crash() {
        await until(() => server.pid !== undefined);
        process.kill(server.pid!, 'SIGKILL');
      },
      async goAway() {
        process.kill(server.pid!, 'SIGSTOP');
        await until(() => isStopped(server.pid!)); // until then a thread of it may still answer
      },
      comeBack: () => process.kill(server.pid!, 'SIGCONT'),
      async end() {
        await store.close();
        await end();
      },
    };
  },
};

/** Whether every thread of the process has stopped (proc_pid_stat(5), state T). */
function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });
}

/** An etcd on free loopback ports in a folder of its own. */
export async function startServer(
  overrides: Partial<EtcdServerOptions> = {},
): Promise<{ server: EtcdServer; options: EtcdServerOptions; end(): Promise<void> }> {
  const dataDir = overrides.dataDir ?? (await mkdtemp(join(tmpdir(), 'gantry-store-')));
  const [clientPort, peerPort] = await freePorts(2);
  const options = { dataDir, name: 'test', clientPort: clientPort!, peerPort: peerPort!, ...overrides };
  const server = await startEtcdServer(options, serverParts);
  return {
    server,
    options,
    async end() {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export const serverParts = { exec: systemExec(), clock: systemClock, log: silentLog };

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Waits for a condition; fails the test when it does not come true in time. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Collects a watch's events until `stop`. */
export interface Recording {
  readonly events: WatchEvent[];
  readonly batches: WatchBatch[];
  /** Resolves when the watch has ended. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export function record(store: Store, prefix: string, fromRevision: bigint): Recording {
  const stopping = new AbortController();
  const events: WatchEvent[] = [];
  const batches: WatchBatch[] = [];
  const run = async (): Promise<void> => {
    for await (const batch of store.watch(prefix, { fromRevision, signal: stopping.signal })) {
      batches.push(batch);
      if (batch.kind === 'events') events.push(...batch.events);
    }
  };
  const ended = run();
  ended.catch(() => {}); // a test that fails before `stop` has said enough
  return {
    events,
    batches,
    ended,
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);
