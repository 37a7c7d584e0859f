/** What a gRPC server takes from whom, over real sockets and TLS. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { issueIdentity } from '../../lib/pki/certificates.ts';
import { type ClusterPki, loadOrCreatePki, tlsMaterial, user } from '../../lib/pki/cluster-pki.ts';
import { systemRandom } from '../../lib/random.ts';
import { type Connection, connect } from '../../lib/rpc/client.ts';
import { readPeerChain } from '../../lib/rpc/peer-chain.ts';
import { startServer } from '../../lib/rpc/server.ts';
import { controlPlaneServerName } from '../../lib/rpc/server-name.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';

let dataDir: string;
let pki: ClusterPki;
let server: RunningServer;
let tls: ReloadableTls;
let connection: Connection;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gantry-limits-'));
  const parts = { clock: systemClock, random: systemRandom };
  pki = await loadOrCreatePki({ dataDir, name: 'cp', apiAddresses: ['127.0.0.1:1'], ...parts });
  tls = new ReloadableTls(tlsMaterial(pki.authority, pki.server));
  server = await startServer({
    listen: '127.0.0.1:0',
    tls,
    requireClientCertificate: false,
    services: {
      Bootstrap: {
        async Join({ token = '' }) {
          if (token === 'quote') throw new GantryError('notFound', 'x'.repeat(200_000));
          return { certificate: `${token.length}` };
        },
      },
    },
    log: silentLog,
  });
  connection = connect({ address: `127.0.0.1:${server.port}`, tls: { caPem: pki.authority.certPem } });
});

afterAll(async () => {
  connection?.close();
  await server?.stop(100);
  await rm(dataDir, { recursive: true, force: true });
});

it('takes little of a stranger at once, and goes on serving', async () => {
  const { Join } = connection.client('Bootstrap');
  await expect(Join({ token: 'x'.repeat(100_000) })).rejects.toMatchObject({ code: 'resourceExhausted' });
  expect(await Join({ token: 'x'.repeat(10_000) })).toEqual({ certificate: '10000' });
});

it('answers with an error that quotes too much, and the connection lives on', async () => {
  const { Join } = connection.client('Bootstrap');
  await expect(Join({ token: 'quote' })).rejects.toMatchObject({ code: 'notFound' });
  expect(await Join({ token: 'abc' })).toEqual({ certificate: '3' });
});

it('answers every question about its schema, however slowly the answers are read', async () => {
  const proto = new URL('../../node_modules/@grpc/reflection/build/proto/', import.meta.url).pathname;
  const loaded = loadPackageDefinition(loadSync('grpc/reflection/v1/reflection.proto', { includeDirs: [proto] }));
  const { ServerReflection } = (loaded as never as { grpc: { reflection: { v1: Record<string, never> } } }).grpc
    .reflection.v1 as unknown as { ServerReflection: new (...args: unknown[]) => ReflectionClient };
  const client = new ServerReflection(
    `127.0.0.1:${server.port}`,
    credentials.createSsl(Buffer.from(pki.authority.certPem)),
    { 'grpc.ssl_target_name_override': controlPlaneServerName },
  );
  const stream = client.ServerReflectionInfo();
  const questions = 300;
  for (let index = 0; index < questions; index += 1) stream.write({ fileContainingSymbol: 'gantry.v1.Bootstrap' });
  stream.end();
  let answers = 0;
  for await (const answer of stream) if ('fileDescriptorResponse' in answer) answers += 1;
  client.close();
  expect(answers).toBe(questions);
});

interface ReflectionClient {
  ServerReflectionInfo(): AsyncIterable<object> & { write(message: object): void; end(): void };
  close(): void;
}

it('shows strangers too the certificate that it was given last', async () => {
  const shown = async (): Promise<string> => {
    const [first] = await readPeerChain(`127.0.0.1:${server.port}`);
    return Buffer.from(first!).toString('hex');
  };
  const before = await shown();
  const parts = { clock: systemClock, random: systemRandom };
  const subject = { ...user('cp', 'admin'), names: [controlPlaneServerName, '127.0.0.1'], usages: ['server' as const] };
  tls.replace(tlsMaterial(pki.authority, await issueIdentity(pki.authority, subject, parts)));
  expect(await shown()).not.toBe(before);
  const later = connect({ address: `127.0.0.1:${server.port}`, tls: { caPem: pki.authority.certPem } });
  expect(await later.client('Bootstrap').Join({ token: 'abc' })).toEqual({ certificate: '3' });
  later.close();
});
