/** A gRPC server on loopback for one test file, and the certificates for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { issueIdentity } from '../../lib/pki/certificates.ts';
import { type ClusterPki, loadOrCreatePki, tlsMaterial, user } from '../../lib/pki/cluster-pki.ts';
import { systemRandom } from '../../lib/random.ts';
import { type Connection, connect } from '../../lib/rpc/client.ts';
import { startServer } from '../../lib/rpc/server.ts';
import type { RunningServer, ServerOptions } from '../../lib/rpc/server-options.ts';
import { startThreadedServer } from '../../lib/rpc/threaded-server.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';

/** Both must be the same to every client and handler. */
export const servers = [
  ['connections in this thread', startServer],
  ['connections in a thread of their own', startThreadedServer],
] as const;

export interface RpcServer {
  readonly pki: ClusterPki;
  readonly tls: ReloadableTls;
  readonly server: RunningServer;
  readonly address: string;
  /** As somebody with a certificate. */
  connectAs(commonName: string, role: 'admin' | 'viewer'): Promise<Connection>;
  end(): Promise<void>;
}

export async function rpcServer(
  start: (options: ServerOptions) => Promise<RunningServer>,
  services: ServerOptions['services'],
  changes: Partial<ServerOptions> = {},
): Promise<RpcServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gantry-rpc-'));
  const parts = { clock: systemClock, random: systemRandom };
  const pki = await loadOrCreatePki({ dataDir, name: 'cp', apiAddresses: ['127.0.0.1:1'], ...parts });
  const tls = new ReloadableTls(tlsMaterial(pki.authority, pki.server));
  const fixed = { listen: '127.0.0.1:0', tls, requireClientCertificate: true, log: silentLog };
  const server = await start({ ...fixed, services, ...changes });
  const address = `127.0.0.1:${server.port}`;
  const open: Connection[] = [];
  return {
    pki,
    tls,
    server,
    address,
    async connectAs(commonName, role) {
      const identity = await issueIdentity(pki.authority, user(commonName, role), parts);
      const connection = connect({ address, tls: new ReloadableTls(tlsMaterial(pki.authority, identity)) });
      open.push(connection);
      return connection;
    },
    async end() {
      for (const connection of open) connection.close();
      await server.stop(100);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
