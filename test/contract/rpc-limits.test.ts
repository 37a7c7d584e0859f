/** What a gRPC server takes from whom, over real sockets and TLS. */
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { issueIdentity } from '../../lib/pki/certificates.ts';
import { tlsMaterial, user } from '../../lib/pki/cluster-pki.ts';
import { systemRandom } from '../../lib/random.ts';
import { type Connection, connect } from '../../lib/rpc/client.ts';
import { readPeerChain } from '../../lib/rpc/peer-chain.ts';
import { controlPlaneServerName } from '../../lib/rpc/server-name.ts';
import { type RpcServer, rpcServer, servers } from './rpc-server.ts';

interface ReflectionClient {
  ServerReflectionInfo(): AsyncIterable<object> & { write(message: object): void; end(): void };
  close(): void;
}

describe.each(servers)('%s', (_name, start) => {
  let rpc: RpcServer;
  let connection: Connection;

  beforeAll(async () => {
    const services = {
      Bootstrap: {
        async Join({ token = '' }) {
          if (token === 'quote') throw new GantryError('notFound', 'x'.repeat(200_000));
          return { certificate: `${token.length}` };
        },
      },
    };
    rpc = await rpcServer(start, services, { requireClientCertificate: false });
    connection = connect({ address: rpc.address, tls: { caPem: rpc.pki.authority.certPem } });
  });

  afterAll(async () => {
    connection?.close();
    await rpc?.end();
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
    const client = new ServerReflection(rpc.address, credentials.createSsl(Buffer.from(rpc.pki.authority.certPem)), {
      'grpc.ssl_target_name_override': controlPlaneServerName,
    });
    const stream = client.ServerReflectionInfo();
    const questions = 300;
    for (let index = 0; index < questions; index += 1) stream.write({ fileContainingSymbol: 'gantry.v1.Bootstrap' });
    stream.end();
    let answers = 0;
    for await (const answer of stream) if ('fileDescriptorResponse' in answer) answers += 1;
    client.close();
    expect(answers).toBe(questions);
  });

  it('shows strangers too the certificate that it was given last', async () => {
    const shown = async (): Promise<string> => {
      const [first] = await readPeerChain(rpc.address);
      return Buffer.from(first!).toString('hex');
    };
    const before = await shown();
    const parts = { clock: systemClock, random: systemRandom };
    const subject = {
      ...user('cp', 'admin'),
      names: [controlPlaneServerName, '127.0.0.1'],
      usages: ['server' as const],
    };
    rpc.tls.replace(tlsMaterial(rpc.pki.authority, await issueIdentity(rpc.pki.authority, subject, parts)));
    await expect.poll(shown).not.toBe(before);
    const later = connect({ address: rpc.address, tls: { caPem: rpc.pki.authority.certPem } });
    expect(await later.client('Bootstrap').Join({ token: 'abc' })).toEqual({ certificate: '3' });
    later.close();
  });
});
