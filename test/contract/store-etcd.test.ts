/** What only a real etcd can show: supervision, adoption, TLS, failover, backpressure, fragments, a full database. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handOver } from '../../control-plane/etcd-leadership.ts';
import { defragmentWhereWorth } from '../../control-plane/leader/defragmentation.ts';
import { systemClock } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { createAuthority, issueIdentity } from '../../lib/pki/certificates.ts';
import type { Exec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { createEtcdStore, type EtcdStore } from '../../lib/store/etcd.ts';
import { etcdServerName } from '../../lib/store/etcd-client.ts';
import type { EtcdServerOptions } from '../../lib/store/etcd-launch.ts';
import { isRunning, listensOn, type ProcessRecord, readLiveRecord } from '../../lib/store/etcd-process.ts';
import { startEtcdServer } from '../../lib/store/etcd-server.ts';
import { AmbiguousWriteError, modRevisionIs, putOf, type Store } from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import { bytes, freePorts, record, serverParts, startServer, textOf, until } from './store-harness.ts';

const put = async (store: Store, key: string, value: Uint8Array | string): Promise<bigint> => {
  const success = [putOf(key, typeof value === 'string' ? bytes(value) : value)];
  return (await store.transact({ compare: [], success })).revision;
};

describe('a supervised etcd', () => {
  it('is started again when it dies, with its data, and ends when stopped', { timeout: 20_000 }, async () => {
    const { server, options, end } = await startServer();
    const store = createEtcdStore({ endpoints: [server.endpoint], clock: systemClock });
    try {
      await put(store, '/a', '1');
      const first = (await readLiveRecord(options.dataDir))!;
      expect(first.pid).toBe(server.pid);
      process.kill(first.pid, 'SIGKILL');
      await until(() =>
        store.get('/a').then(
          ({ kv }) => kv !== undefined,
          () => false,
        ),
      );
      expect(server.pid).not.toBe(first.pid);
      const second = (await readLiveRecord(options.dataDir))!;
      await server.stop();
      expect(await isRunning(second)).toBe(false);
      expect(await readLiveRecord(options.dataDir)).toBeUndefined();
    } finally {
      await store.close();
      await end();
    }
  });

  /** The record of an etcd whose control plane died without a word, as by kill -9. */
  async function leaveOrphan(options: EtcdServerOptions): Promise<ProcessRecord> {
    const url = (path: string): string => JSON.stringify(new URL(`../../lib/${path}`, import.meta.url).href);
    const program = `
      const { startEtcdServer } = await import(${url('store/etcd-server.ts')});
      const { systemClock } = await import(${url('clock.ts')});
      const { systemExec } = await import(${url('process.ts')});
      const { silentLog } = await import(${url('log.ts')});
      await startEtcdServer(${JSON.stringify(options)}, { clock: systemClock, exec: systemExec(), log: silentLog });
      process.kill(process.pid, 'SIGKILL');`;
    const { exitCode, stderr } = await serverParts.exec.run([process.execPath, '--input-type=module', '-e', program]);
    expect(exitCode, stderr).toBe(137);
    return (await readLiveRecord(options.dataDir))!;
  }

  it('is adopted by the next supervisor, restarted by it, and replaced when the options changed', {
    timeout: 20_000,
  }, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gantry-store-'));
    const [clientPort, peerPort] = (await freePorts(2)) as [number, number];
    const options = { dataDir, name: 'test', clientPort, peerPort };
    try {
      const orphan = await leaveOrphan(options);
      const server = await startEtcdServer(options, serverParts);
      expect(server).toMatchObject({ adopted: true, pid: orphan.pid });
      process.kill(orphan.pid, 'SIGKILL');
      await until(() => server.pid !== undefined && server.pid !== orphan.pid);
      await until(() => listensOn(server.pid ?? 0, clientPort));
      await server.stop();

      const second = await leaveOrphan(options);
      const changed = await startEtcdServer({ ...options, maxTxnOps: 77 }, serverParts);
      expect(changed.adopted).toBe(false);
      expect(await isRunning(second)).toBe(false);
      await changed.stop();
    } finally {
      const left = await readLiveRecord(dataDir);
      if (left) process.kill(left.pid, 'SIGKILL');
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  it('does not take a process for its own that only has the pid', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gantry-store-'));
    const record = { pid: process.pid, startTime: '1', argv: [] };
    await writeFile(join(dataDir, 'etcd.pid.json'), JSON.stringify(record));
    expect(await readLiveRecord(dataDir)).toBeUndefined();
    await writeFile(join(dataDir, 'etcd.pid.json'), '{"pid": 1');
    expect(await readLiveRecord(dataDir)).toBeUndefined();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('says what to install when there is no etcd', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gantry-store-'));
    const [clientPort, peerPort] = (await freePorts(2)) as [number, number];
    const exec: Exec = {
      ...serverParts.exec,
      start: (_, options) => serverParts.exec.start(['no-such-etcd'], options),
    };
    const starting = startEtcdServer({ dataDir, name: 'test', clientPort, peerPort }, { ...serverParts, exec });
    await expect(starting).rejects.toThrow(/cannot run etcd .*install Debian's etcd-server/);
    await rm(dataDir, { recursive: true, force: true });
  });

  it('says why it cannot start, and leaves nothing running', { timeout: 20_000 }, async () => {
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    const { port } = stranger.address() as { port: number };
    const dataDir = await mkdtemp(join(tmpdir(), 'gantry-store-'));
    const [peerPort] = (await freePorts(1)) as [number];
    await expect(startEtcdServer({ dataDir, name: 'test', clientPort: port, peerPort }, serverParts)).rejects.toThrow(
      /address already in use.*etcd\.log/s,
    );
    expect(await readLiveRecord(dataDir)).toBeUndefined();
    stranger.close();
    await rm(dataDir, { recursive: true, force: true });
  });
});

describe('etcd over TLS', () => {
  it('serves holders of a certificate and nobody else', { timeout: 20_000 }, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gantry-store-'));
    const parts = { clock: systemClock, random: systemRandom };
    const [ca, stranger] = [await createAuthority('ours', parts), await createAuthority('theirs', parts)];
    const subject = { organization: '', lifetimeMs: 3_600_000 };
    const serving = await issueIdentity(
      ca,
      { ...subject, commonName: 'etcd', names: [etcdServerName], usages: ['server', 'client'] },
      parts,
    );
    const client = { ...subject, commonName: 'control-plane', names: [], usages: ['client'] as const };
    const ours = await issueIdentity(ca, client, parts);
    const theirs = await issueIdentity(stranger, client, parts);
    const tls = { caFile: join(dataDir, 'ca'), certFile: join(dataDir, 'cert'), keyFile: join(dataDir, 'key') };
    await writeFile(tls.caFile, ca.certPem);
    await writeFile(tls.certFile, serving.certPem);
    await writeFile(tls.keyFile, serving.keyPem, { mode: 0o600 });
    const { server, end } = await startServer({ dataDir, tls });
    const open = (credentials?: { ca: string; cert: string; key: string }) =>
      createEtcdStore({
        endpoints: [server.endpoint],
        clock: systemClock,
        timeoutMs: 2000,
        ...(credentials && { tls: credentials }),
      });
    const stores = {
      welcome: open({ ca: ca.certPem, cert: ours.certPem, key: ours.keyPem }),
      foreign: open({ ca: ca.certPem, cert: theirs.certPem, key: theirs.keyPem }),
      plain: open(),
      wrongServer: open({ ca: stranger.certPem, cert: ours.certPem, key: ours.keyPem }),
    };
    try {
      await put(stores.welcome, '/a', '1');
      const watch = record(stores.welcome, '/', 1n);
      await until(() => watch.events.length === 1);
      await watch.stop();
      for (const store of [stores.foreign, stores.plain, stores.wrongServer]) {
        await expect(store.get('/a')).rejects.toSatisfy((error) => isGantryError(error, 'unavailable'));
      }
    } finally {
      await Promise.all(Object.values(stores).map((store) => store.close()));
      await end();
    }
  });
});

/** The member beside a control plane that leads does not lead etcd as well; the others have nothing to hand over. */
async function leadershipIsHandedOver({ members }: EtcdStore): Promise<void> {
  const known = await members.list();
  const leading = async (): Promise<string[]> => {
    const standings = await Promise.all(known.map(({ clientAddress }) => members.standing(clientAddress)));
    return known.filter((_, index) => standings[index]!.isLeader).map(({ name }) => name);
  };
  // A member that was killed may not be back yet.
  let leader: string | undefined;
  await until(async () => {
    [leader] = await leading().catch(() => []);
    return leader !== undefined;
  });
  const own = known.find(({ name }) => name === leader)!;
  const successor = await handOver(members, own);
  expect(known.map(({ name }) => name)).toContain(successor);
  expect(successor).not.toBe(leader);
  await until(async () => (await leading()).join() === successor);
  expect(await handOver(members, own)).toBeUndefined();
}

describe('an etcd of three members', () => {
  it('loses no write and no event when any one of them is killed', { timeout: 40_000 }, async () => {
    const { members, store, end } = await startThree();
    try {
      const watch = record(store, '/three/', 1n);
      const total = 60;
      let previous = 0n;
      for (let i = 0; i < total; i += 1) {
        if (i % 20 === 10) process.kill(members[Math.floor(i / 20)]!.server.pid!, 'SIGKILL');
        const success = [putOf('/three/a', bytes(`${i}`))];
        const transaction = { compare: [modRevisionIs('/three/a', previous)], success };
        await until(async () => {
          const result = await transactOnce(store, transaction, { clock: systemClock }).catch((error) => {
            if (!isGantryError(error, 'unavailable')) throw error;
          });
          if (result) expect(result.succeeded).toBe(true);
          previous = result?.revision ?? previous;
          return result !== undefined;
        });
      }
      await until(() => watch.events.length >= total);
      await watch.stop();
      expect(watch.events.map((event) => event.type === 'put' && textOf(event.kv.value))).toEqual(
        Array.from({ length: total }, (_, i) => `${i}`),
      );
      await leadershipIsHandedOver(store);
    } finally {
      await end();
    }
  });

  // As the memory store's `setLeaderless`, on which the simulation relies.
  it('begins its leases anew when another member leads', { timeout: 40_000 }, async () => {
    const { members, store, end } = await startThree();
    try {
      const lease = await store.grantLease(6_000);
      await store.transact({ compare: [], success: [putOf('/leased', bytes('1'), lease.id)] });
      const standings = await Promise.all(members.map(({ server }) => store.members.standing(server.endpoint)));
      const leader = members[standings.findIndex(({ isLeader }) => isLeader)]!;
      await systemClock.sleep(4_000); // the passing of time is what is tested
      process.kill(leader.server.pid!, 'SIGKILL');
      await systemClock.sleep(4_000);
      const read = () => store.get('/leased').catch(() => undefined);
      let seen: Awaited<ReturnType<typeof read>>;
      await until(async () => {
        seen = await read();
        return seen !== undefined;
      });
      expect(seen?.kv).toBeDefined();
      await until(async () => (await read())?.kv === undefined);
    } finally {
      await end();
    }
  });
});

async function startThree() {
  const names = ['a', 'b', 'c'];
  const ports = await freePorts(6);
  const initialCluster = names.map((name, i) => `${name}=http://127.0.0.1:${ports[i]}`);
  const members = await Promise.all(
    names.map((name, i) => startServer({ name, peerPort: ports[i]!, clientPort: ports[i + 3]!, initialCluster })),
  );
  const endpoints = members.map(({ server }) => server.endpoint);
  const store = createEtcdStore({ endpoints, clock: systemClock, timeoutMs: 2000 });
  return {
    members,
    store,
    async end(): Promise<void> {
      await store.close();
      await Promise.all(members.map((member) => member.end()));
    },
  };
}

describe('an etcd store', () => {
  let server: Awaited<ReturnType<typeof startServer>>;
  let store: Store;
  beforeAll(async () => {
    server = await startServer({ quotaBytes: 96 * 1024 ** 2 });
    store = createEtcdStore({
      endpoints: [server.server.endpoint],
      clock: systemClock,
      timeoutMs: 2000,
      maxOperations: 4096,
    });
  }, 20_000);
  afterAll(async () => {
    await store?.close();
    await server?.end();
  });

  it('goes on at another endpoint when one is dead', async () => {
    const [dead] = (await freePorts(1)) as [number];
    const endpoints = [`127.0.0.1:${dead}`, server.server.endpoint];
    const failover = createEtcdStore({ endpoints, clock: systemClock, timeoutMs: 2000 });
    await put(failover, '/failover/a', '1'); // never sent to the dead one, so even a write may go on
    const watched = createEtcdStore({ endpoints, clock: systemClock, timeoutMs: 2000 });
    const watch = record(watched, '/failover/', 1n);
    await until(() => watch.events.length === 1);
    await watch.stop();
    await Promise.all([failover.close(), watched.close()]);
  });

  it('calls a write ambiguous only when it may have been sent', async () => {
    const [dead] = (await freePorts(1)) as [number];
    const nowhere = createEtcdStore({ endpoints: [`127.0.0.1:${dead}`], clock: systemClock, timeoutMs: 1000 });
    const error = await put(nowhere, '/a', '1').catch((reason) => reason);
    expect(isGantryError(error, 'unavailable')).toBe(true);
    expect(error).not.toBeInstanceOf(AmbiguousWriteError);
    await nowhere.close();

    const { pid } = server.server;
    process.kill(pid!, 'SIGSTOP');
    const frozen = await put(store, '/ambiguous/a', '1').catch((reason) => reason);
    process.kill(pid!, 'SIGCONT');
    expect(frozen).toBeInstanceOf(AmbiguousWriteError);
  });

  it('puts a revision together from fragments', async () => {
    // One transaction near the request limit whose events, with the previous values, exceed it several times.
    const success = Array.from({ length: 300 }, (_, i) => putOf(`/fragment/${i}`, new Uint8Array(10_000)));
    const { revision } = await store.transact({ compare: [], success });
    await store.transact({ compare: [], success });
    const watch = record(store, '/fragment/', revision + 1n);
    await until(() => watch.events.length > 0);
    await watch.stop();
    expect(watch.batches.length).toBe(1);
    expect(watch.events.length).toBe(300);
    expect(watch.events.every((event) => event.previous?.value.length === 10_000)).toBe(true);
  });

  it('lets a slow watcher hold up nobody, and loses nothing for it', { timeout: 20_000 }, async () => {
    const value = new Uint8Array(50_000);
    const start = await put(store, '/slow/0', value);
    const stopping = new AbortController();
    const iterator = store.watch('/slow/', { fromRevision: start, signal: stopping.signal })[Symbol.asyncIterator]();
    const seen: bigint[] = [];
    const take = async (): Promise<void> => {
      const { value: batch } = await iterator.next();
      if (batch?.kind === 'events')
        seen.push(...batch.events.map((event: { modRevision: bigint }) => event.modRevision));
    };
    await take();
    const total = 1000; // 50 MB, and as much again of previous values
    for (let i = 1; i < total; i += 1) await put(store, '/slow/0', value);
    const startedMs = performance.now();
    await store.get('/slow/0');
    expect(performance.now() - startedMs).toBeLessThan(500);
    while (seen.length < total) await take();
    stopping.abort();
    expect(seen).toEqual(Array.from({ length: total }, (_, i) => start + BigInt(i)));
  });

  it('gives the space of compacted history back', { timeout: 30_000 }, async () => {
    const { server, end } = await startServer();
    const store = createEtcdStore({ endpoints: [server.endpoint], clock: systemClock });
    try {
      const megabyte = new Uint8Array(2 ** 20);
      for (let round = 0; round < 100; round += 1) await put(store, '/a', megabyte);
      await store.compact(await put(store, '/b', 'kept'));
      const [before] = (await store.databases?.()) ?? [];
      expect(before).toMatchObject({ member: server.endpoint, isLeader: true });
      expect(before!.sizeBytes).toBeGreaterThan(100 * 2 ** 20);
      const said: string[] = [];
      const log = { ...silentLog, info: (_: object, message: string) => said.push(message) };
      // etcd counts the pages of what it has compacted as free only with later writes.
      await until(async () => {
        await put(store, '/b', 'kept');
        return ((await store.databases?.()) ?? [])[0]!.usedBytes < 8 * 2 ** 20;
      });
      await defragmentWhereWorth({ store, clock: systemClock, log, signal: new AbortController().signal });
      const [after] = (await store.databases?.()) ?? [];
      expect(after!.sizeBytes).toBeLessThan(8 * 2 ** 20);
      expect(said).toEqual(['defragmenting a member of the store', 'defragmented a member of the store']);
      expect((await store.get('/b')).kv).toBeDefined();
    } finally {
      await store.close();
      await end();
    }
  });

  it('refuses a transaction larger than etcd takes, as not written', async () => {
    for (const size of [4.2, 6]) {
      const error = await put(store, '/huge', new Uint8Array(size * 1024 ** 2)).catch((reason) => reason);
      expect(isGantryError(error, 'invalidArgument'), String(error)).toBe(true);
    }
  });

  it('says that the database is full', { timeout: 20_000 }, async () => {
    const value = new Uint8Array(1_000_000);
    let error: unknown;
    for (let i = 0; i < 200 && !error; i += 1) {
      error = await put(store, `/full/${i}`, value).then(
        () => undefined,
        (reason) => reason,
      );
    }
    expect(isGantryError(error, 'resourceExhausted')).toBe(true);
    expect(String(error)).toMatch(/NOSPACE.*defragment/);
    expect((await store.status()).problem).toMatch(/NOSPACE/);
    expect((await store.get('/full/0')).kv?.value.length).toBe(1_000_000);
  });
});
