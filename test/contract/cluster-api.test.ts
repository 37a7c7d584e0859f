/** The Cluster API over real gRPC and mutual TLS, on the memory store and on a real etcd. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureDefaults } from '../../control-plane/api/bootstrap.ts';
import { createClusterService } from '../../control-plane/api/cluster-service.ts';
import { authorize } from '../../control-plane/api/roles.ts';
import { sealedCodec } from '../../control-plane/state/object-codec.ts';
import { systemClock } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { fromEnvelope } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { createKeyring } from '../../lib/model/stored.ts';
import type { Identity } from '../../lib/pki/certificate-facts.ts';
import { issueIdentity, lifetimeMs } from '../../lib/pki/certificates.ts';
import { adminConfPath, type ClusterPki, loadOrCreatePki, tlsMaterial } from '../../lib/pki/cluster-pki.ts';
import { systemExec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { type Connection, connect, type ServiceClient } from '../../lib/rpc/client.ts';
import { startServer } from '../../lib/rpc/server.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import { putOf } from '../../lib/store/store.ts';
import type { ConfigMap, Pod, WatchEvent } from '../../proto/gen/types.ts';
import { freePorts, type Harness, harnesses, until } from './store-harness.ts';

const config = {
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  dnsIP: '10.43.0.10',
  zone: 'cluster.local',
  version: 'test',
  defaultScheduler: 'least-loaded',
};
const parts = { clock: systemClock, random: systemRandom };
const configMap = (name: string, data: Record<string, string>): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const deploymentOf = (image: string) => ({
  apiVersion: 'apps/v1' as const,
  kind: 'Deployment' as const,
  metadata: { name: 'web' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image }] } },
  },
});

describe.each(Object.entries(harnesses))('the Cluster API on %s', (_name, start) => {
  let harness: Harness;
  let dataDir: string;
  let pki: ClusterPki;
  let server: RunningServer;
  let address: string;
  let cluster: ServiceClient<'Cluster'>;
  const codec = sealedCodec(createKeyring(new Uint8Array(32).fill(3), systemRandom));
  const connections: Connection[] = [];

  const clientFor = (identity: Identity | undefined): ServiceClient<'Cluster'> => {
    const caPem = pki.authority.certPem;
    const tls = identity ? { caPem, certPem: identity.certPem, keyPem: identity.keyPem } : { caPem };
    const connection = connect({ address, tls: identity ? new ReloadableTls({ ...identity, caPem }) : tls });
    connections.push(connection);
    return connection.client('Cluster');
  };
  const user = (organization: string): Promise<Identity> =>
    issueIdentity(
      pki.authority,
      { commonName: 'somebody', organization, names: [], lifetimeMs: lifetimeMs.user, usages: ['client'] },
      parts,
    );

  beforeAll(async () => {
    harness = await start();
    dataDir = await mkdtemp(join(tmpdir(), 'gantry-api-'));
    const [port = 0] = await freePorts(1);
    address = `127.0.0.1:${port}`;
    pki = await loadOrCreatePki({ dataDir, name: 'cp', apiAddresses: [address], ...parts });
    const dependencies = { store: harness.store, codec, log: silentLog, config, watchStallMs: 1000, ...parts };
    await ensureDefaults(dependencies);
    server = await startServer({
      listen: address,
      tls: new ReloadableTls(tlsMaterial(pki.authority, pki.server)),
      requireClientCertificate: true,
      services: { Cluster: createClusterService(dependencies) },
      authorize,
      log: silentLog,
    });
    cluster = clientFor(pki.admin);
  });

  afterAll(async () => {
    for (const connection of connections) connection.close();
    await server?.stop(100);
    await harness?.end();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('a watch that is not read ends with the revision to resume from, and brings the rest from there', {
    timeout: 30_000,
  }, async () => {
    const count = 3_000;
    const filler = 'x'.repeat(500);
    const { resourceVersion = '' } = await cluster.List({ kind: 'ConfigMap', namespace: 'default', limit: 1 });
    const names: string[] = [];
    const read = async (watch: AsyncIterable<WatchEvent>): Promise<void> => {
      for await (const { object } of watch) {
        names.push(object?.configMap?.data?.n ?? '');
        if (names.length === count) return;
      }
    };
    const stalled = cluster.Watch({ kind: 'ConfigMap', namespace: 'default', resourceVersion })[Symbol.asyncIterator]();
    const first = stalled.next();
    for (let begin = 0; begin < count; begin += 50) {
      const success = Array.from({ length: 50 }, (_, index) => {
        const object = configMap(`slow-${index}`, { n: String(begin + index), filler });
        const metadata = { ...object.metadata, namespace: 'default' };
        return putOf(`/gantry/configmaps/default/slow-${index}`, codec.encode({ ...object, metadata }));
      });
      await harness.store.transact({ compare: [], success });
    }
    names.push((await first).value?.object?.configMap?.data?.n ?? '');
    await new Promise((resolve) => setTimeout(resolve, 2_500)); // nothing is read meanwhile: that is the test
    const error = (await read({ [Symbol.asyncIterator]: () => stalled }).catch((thrown) => thrown)) as Error;
    const resumeFrom = /not read .*resume from revision (\d+)$/.exec(error?.message)?.[1] ?? '';
    expect(names.length).toBeLessThan(count);
    await read(cluster.Watch({ kind: 'ConfigMap', namespace: 'default', resourceVersion: resumeFrom }));
    // Inside a revision of several changes a resumed watch repeats: each is there, in order.
    const seen = [...new Set(names.map(Number))];
    expect(seen.at(-1)).toBeGreaterThan(count - 60);
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => index));
  });

  it('applies, reads back and deletes over the wire', async () => {
    const deployment = deploymentOf('nginx:1');
    expect((await cluster.Apply({ object: { deployment } })).result).toBe('created');
    expect((await cluster.Apply({ object: { deployment } })).result).toBe('unchanged');
    const changed = await cluster.Apply({ object: { deployment: deploymentOf('nginx:2') } });
    expect(changed).toMatchObject({ result: 'configured', object: { deployment: { metadata: { generation: 2 } } } });
    const read = await cluster.Get({ kind: 'Deployment', name: 'web' });
    expect(read).toEqual({ object: changed.object });
    await cluster.Delete({ kind: 'Deployment', name: 'web' });
    await expect(cluster.Get({ kind: 'Deployment', name: 'web' })).rejects.toThrow('deployments "web" not found');
  });

  it('carries every problem of a manifest to the client', async () => {
    const bad = { ...configMap('Bad_Name', { 'a/b': 'x', 'c d': 'y' }) };
    await expect(cluster.Create({ object: { configMap: bad } })).rejects.toSatisfy(
      (error) => isGantryError(error, 'invalidArgument') && error.details.length === 3,
    );
    const many = configMap('many', Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`${index}/`, ''])));
    await expect(cluster.Create({ object: { configMap: many } })).rejects.toSatisfy(
      (error) => isGantryError(error, 'invalidArgument') && error.details.at(-1) === '... and 440 more',
    );
  });

  it('takes an object of the largest size and refuses a larger one with a sentence', async () => {
    const largest = configMap('large', { data: 'x'.repeat(1024 * 1024) });
    await cluster.Create({ object: { configMap: largest } });
    const { object } = await cluster.Get({ kind: 'ConfigMap', name: 'large' });
    expect(object?.configMap?.data?.data).toHaveLength(1024 * 1024);
    const larger = configMap('larger', { data: 'x'.repeat(1024 * 1024 + 1) });
    await expect(cluster.Create({ object: { configMap: larger } })).rejects.toThrow(/at most 1 MiB/);
    await cluster.Delete({ kind: 'ConfigMap', name: 'large' });
  });

  it('lets in only those with a certificate of the cluster and a role', async () => {
    await expect(clientFor(undefined).List({ kind: 'Pod' })).rejects.toSatisfy((error) => isGantryError(error));
    const viewer = clientFor(await user('viewer'));
    await viewer.List({ kind: 'Pod' });
    await expect(viewer.List({ kind: 'Secret' })).rejects.toSatisfy((e) => isGantryError(e, 'permissionDenied'));
    const node = clientFor(await user('node'));
    await expect(node.List({ kind: 'Pod' })).rejects.toSatisfy((error) => isGantryError(error, 'permissionDenied'));
  });

  it('gives twenty services at once twenty addresses', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `s${index}`);
    const answers = await Promise.all(
      names.map((name) =>
        cluster.Apply({
          object: {
            service: { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports: [{ port: 80 }] } },
          },
        }),
      ),
    );
    expect(new Set(answers.map(({ object }) => object?.service?.spec.clusterIP)).size).toBe(20);
    await Promise.all(names.map((name) => cluster.Delete({ kind: 'Service', name })));
    const { items } = await harness.store.list('/gantry/allocations/');
    expect(items).toEqual([]);
  });

  it('watches on through a crash of the store, and loses no write that was acknowledged', async () => {
    const stop = new AbortController();
    const events: WatchEvent[] = [];
    const watching = (async () => {
      for await (const event of cluster.Watch({ kind: 'ConfigMap' }, { signal: stop.signal })) events.push(event);
    })().catch(() => {});
    await until(() => events.some(({ type }) => type === 'BOOKMARK'));
    const acknowledged: string[] = [];
    const writing = (async () => {
      for (let index = 0; index < 30; index += 1) {
        const name = `crash-${index}`;
        await cluster
          .Create({ object: { configMap: configMap(name, { a: '1' }) } })
          .then(() => acknowledged.push(name))
          .catch(() => {});
      }
    })();
    await until(() => acknowledged.length > 3);
    await harness.crash();
    await writing;
    await until(async () => {
      const { items = [] } = await cluster.List({ kind: 'ConfigMap' }).catch(() => ({ items: [] }));
      return items.length > 0;
    }, 30_000);
    await cluster.Create({ object: { configMap: configMap('last', { a: '1' }) } });
    await until(() => events.some(({ object }) => object?.configMap?.metadata.name === 'last'), 30_000);
    stop.abort();
    await watching;
    const seen = events.flatMap(({ object }) => object?.configMap?.metadata.name ?? []);
    expect(new Set(seen).size).toBe(seen.length);
    for (const name of acknowledged) expect(seen).toContain(name);
  });

  it('serves the example client', async () => {
    const exec = systemExec();
    const example = exec.run(
      [process.execPath, join(import.meta.dirname, '../../examples/client.ts'), adminConfPath(dataDir), 'echo:1', '1'],
      { timeoutMs: 40_000 },
    );
    // What controllers, scheduler and agent would do.
    await until(() =>
      cluster.Get({ kind: 'Deployment', name: 'example' }).then(
        () => true,
        () => false,
      ),
    );
    const spec = { containers: [{ name: 'main', image: 'echo:1' }] };
    const metadata = { name: 'example-1', labels: { app: 'example' } };
    const { object } = await cluster.Create({ object: { pod: { apiVersion: 'v1', kind: 'Pod', metadata, spec } } });
    const pod = fromEnvelope(object) as Pod;
    const ready: Pod = {
      ...pod,
      spec: { ...pod.spec, nodeName: 'node-1' },
      status: { phase: 'Running', podIP: '10.42.1.2', conditions: [{ type: 'Ready', status: 'True' }] },
    };
    await harness.store.transact({ compare: [], success: [putOf(keyOf(ready), codec.encode(ready))] });
    const { stdout } = await example;
    expect(stdout).toContain('deployment example created');
    expect(stdout).toMatch(/ready {4}example-1 {2}10\.42\.1\.2 {2}on node-1/);
  });
});
