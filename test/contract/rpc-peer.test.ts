/** Who a gRPC server takes its callers for, over real sockets and TLS. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { Identity } from '../../lib/pki/certificate-facts.ts';
import { issueIdentity } from '../../lib/pki/certificates.ts';
import { type ClusterPki, loadOrCreatePki, tlsMaterial, user } from '../../lib/pki/cluster-pki.ts';
import { systemRandom } from '../../lib/random.ts';
import { type Connection, connect } from '../../lib/rpc/client.ts';
import type { Peer } from '../../lib/rpc/peer.ts';
import { startServer } from '../../lib/rpc/server.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';

let dataDir: string;
let pki: ClusterPki;
let server: RunningServer;
const seen: Peer[] = [];
const open: Connection[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gantry-peer-'));
  const parts = { clock: systemClock, random: systemRandom };
  pki = await loadOrCreatePki({ dataDir, name: 'cp', apiAddresses: ['127.0.0.1:1'], ...parts });
  server = await startServer({
    listen: '127.0.0.1:0',
    tls: new ReloadableTls(tlsMaterial(pki.authority, pki.server)),
    requireClientCertificate: true,
    services: {
      Bootstrap: {
        async Join(_request, { peer }) {
          seen.push(peer);
          return {};
        },
      },
    },
    log: silentLog,
  });
});

afterAll(async () => {
  for (const connection of open) connection.close();
  await server?.stop(100);
  await rm(dataDir, { recursive: true, force: true });
});

function connected(identity: Identity): Connection {
  const tls = new ReloadableTls(tlsMaterial(pki.authority, identity));
  const connection = connect({ address: `127.0.0.1:${server.port}`, tls });
  open.push(connection);
  return connection;
}

it('knows each connection by its own certificate, and reads that once', async () => {
  const parts = { clock: systemClock, random: systemRandom };
  const [ada, bob] = await Promise.all(
    [user('ada', 'viewer'), user('bob', 'admin')].map((subject) => issueIdentity(pki.authority, subject, parts)),
  );
  const callers = [connected(ada!), connected(bob!), connected(ada!)];
  for (const caller of [...callers, ...callers]) await caller.client('Bootstrap').Join({});
  expect(seen.map(({ commonName, organization }) => `${commonName}/${organization}`)).toEqual([
    'ada/viewer',
    'bob/admin',
    'ada/viewer',
    'ada/viewer',
    'bob/admin',
    'ada/viewer',
  ]);
  callers.forEach((_, index) => void expect(seen[index + callers.length]).toBe(seen[index]));
  expect(new Set(seen).size).toBe(callers.length);
  expect(seen[0]!.address).not.toBe(seen[2]!.address);
});
