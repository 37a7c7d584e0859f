/** Who a gRPC server takes its callers for, over real sockets and TLS. */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Peer } from '../../lib/rpc/peer.ts';
import { rpcServer, servers } from './rpc-server.ts';

describe.each(servers)('%s', (_name, start) => {
  it('knows each connection by its own certificate', async () => {
    const seen: Peer[] = [];
    const { connectAs, end } = await rpcServer(start, {
      Bootstrap: {
        async Join(_request, { peer }) {
          seen.push(peer);
          return {};
        },
      },
    });
    onTestFinished(end);
    const ada = await connectAs('ada', 'viewer');
    const callers = [ada, await connectAs('bob', 'admin'), await connectAs('ada', 'viewer')];
    for (const caller of [...callers, ...callers]) await caller.client('Bootstrap').Join({});
    expect(seen.map(({ commonName, organization }) => `${commonName}/${organization}`)).toEqual([
      'ada/viewer',
      'bob/admin',
      'ada/viewer',
      'ada/viewer',
      'bob/admin',
      'ada/viewer',
    ]);
    callers.forEach((_, index) => void expect(seen[index + callers.length]).toEqual(seen[index]));
    expect(new Set(seen.map(({ address }) => address)).size).toBe(callers.length);
  });
});
