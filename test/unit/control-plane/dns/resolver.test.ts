import { expect, test } from 'vitest';
import { createResolver } from '../../../../control-plane/dns/resolver.ts';
import type { ObjectChange } from '../../../../control-plane/state/cluster-state.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { silentLog } from '../../../../lib/log.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { ResolveRequest, ResolveResponse } from '../../../../proto/gen/types.ts';
import { cluster, readerOf } from '../../lib/dns/fixtures.ts';

function resolver(synced = true) {
  const listeners = new Set<(changes: readonly ObjectChange[]) => void>();
  return createResolver({
    zone: 'cluster.local',
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    dnsIP: '10.43.0.10',
    state: {
      synced,
      list: (kind) => readerOf(cluster).list(kind as 'Service') as never,
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    upstreams: [],
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    server: 'control plane 10.88.0.2',
  });
}

const ask = (request: ResolveRequest): Promise<ResolveResponse> => resolver().resolve(request);

test.each<[string, ResolveRequest, Partial<ResolveResponse>]>([
  [
    'a short name',
    { name: 'echo' },
    {
      rcode: 'NOERROR',
      canonicalName: 'echo.default.svc.cluster.local',
      records: [
        {
          name: 'echo.default.svc.cluster.local',
          type: 'A',
          ttlSeconds: 5,
          data: '10.43.0.5',
          source: 'service default/echo',
        },
      ],
      origin: [
        '"echo" in namespace default is echo.default.svc.cluster.local',
        'service default/echo (ClusterIP 10.43.0.5) leads to pod default/echo-a on node-1 (10.42.1.5)',
      ],
      server: 'control plane 10.88.0.2',
    },
  ],
  [
    'a headless service, part of it not ready',
    { name: 'db', namespace: 'prod' },
    {
      rcode: 'NOERROR',
      origin: [
        '"db" in namespace prod is db.prod.svc.cluster.local',
        'service prod/db (headless) leads to endpoint 10.42.1.7 (10.42.1.7), endpoint 10.42.2.7 (10.42.2.7)',
        '1 of its pods are not ready and left out; see "ctl get pods -n prod"',
      ],
    },
  ],
  [
    'a service of another namespace',
    { name: 'db' },
    {
      rcode: 'NXDOMAIN',
      records: [],
      origin: [
        '"db" in namespace default is db.default.svc.cluster.local',
        'there is no service db in namespace default; it exists as prod/db',
      ],
    },
  ],
  [
    'a namespace that is not there',
    { name: 'web.nowhere.svc.cluster.local' },
    { rcode: 'NXDOMAIN', origin: ['there is no namespace nowhere; see "ctl get namespaces"'] },
  ],
  [
    'a service without an address',
    { name: 'pending.default' },
    {
      rcode: 'NXDOMAIN',
      origin: [
        '"pending.default" in namespace default is pending.default.svc.cluster.local',
        'service default/pending has no cluster IP and no usable external name yet; see "ctl describe service pending -n default"',
      ],
    },
  ],
  ['an alias inside', { name: 'alias' }, { rcode: 'NOERROR', canonicalName: 'echo.default.svc.cluster.local' }],
  ['an address', { name: '10.43.0.5' }, { rcode: 'NOERROR', origin: ['10.43.0.5 is service default/echo'] }],
  [
    'a type the name does not have',
    { name: 'echo', type: 'aaaa' },
    {
      rcode: 'NOERROR',
      records: [],
      origin: [
        '"echo" in namespace default is echo.default.svc.cluster.local',
        'service default/echo (ClusterIP 10.43.0.5) leads to pod default/echo-a on node-1 (10.42.1.5)',
        'echo.default.svc.cluster.local: the name exists but has no AAAA record',
      ],
    },
  ],
  [
    'a name outside with nobody to ask',
    { name: 'www.example.com' },
    {
      rcode: 'SERVFAIL',
      origin: [
        'www.example.com is not in zone cluster.local: no upstream DNS server is known; name one in /etc/resolv.conf of the machine',
      ],
    },
  ],
  [
    'an external name with nobody to ask',
    { name: 'outside', type: 'CNAME' },
    {
      rcode: 'NOERROR',
      origin: expect.arrayContaining(['service default/outside is an ExternalName: www.example.com']),
    },
  ],
])('%s', async (_what, request, expected) => {
  expect(await ask(request)).toMatchObject(expected);
});

test('what is no question is refused by name', async () => {
  await expect(ask({ name: 'echo', type: 'NONSENSE' })).rejects.toMatchObject({ code: 'invalidArgument' });
  await expect(ask({ name: 'a..b' })).rejects.toMatchObject({ code: 'invalidArgument' });
  await expect(ask({})).rejects.toMatchObject({ code: 'invalidArgument' });
  await expect(resolver(false).resolve({ name: 'echo' })).rejects.toMatchObject({ code: 'unavailable' });
});
