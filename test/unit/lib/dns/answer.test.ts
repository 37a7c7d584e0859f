/** One line a question, one line its answer. Kubernetes DNS specification 1.1.0. */
import { describe, expect, test } from 'vitest';
import { createRecordsBuilder } from '../../../../lib/dns/records.ts';
import { ask, cluster, endpoint, readerOf, service, slice } from './fixtures.ts';

const zone = 'cluster.local';

describe.each<[string, readonly [string, Parameters<typeof ask>[1], string][]]>([
  [
    'services with an address',
    [
      [`echo.default.svc.${zone}`, 'A', 'NOERROR | echo.default.svc A 10.43.0.5'],
      [`ECHO.Default.svc.${zone}`, 'A', 'NOERROR | echo.default.svc A 10.43.0.5'],
      [`echo.default.svc.${zone}`, 'AAAA', 'NOERROR | SOA'],
      [`echo.default.svc.${zone}`, 'TXT', 'NOERROR | SOA'],
      [`echo.default.svc.${zone}`, 'ANY', 'NOERROR | echo.default.svc A 10.43.0.5'],
      [`nosuch.default.svc.${zone}`, 'A', 'NXDOMAIN | SOA'],
      [`pending.default.svc.${zone}`, 'A', 'NXDOMAIN | SOA'],
      [`10-42-1-5.echo.default.svc.${zone}`, 'A', 'NOERROR | 10-42-1-5.echo.default.svc A 10.42.1.5'],
      [`a.b.c.echo.default.svc.${zone}`, 'A', 'NXDOMAIN | SOA'],
    ],
  ],
  [
    'headless services',
    [
      [`db.prod.svc.${zone}`, 'A', 'NOERROR | db.prod.svc A 10.42.1.7 | db.prod.svc A 10.42.2.7'],
      [`db-0.db.prod.svc.${zone}`, 'A', 'NOERROR | db-0.db.prod.svc A 10.42.1.7'],
      [`10-42-2-7.db.prod.svc.${zone}`, 'A', 'NOERROR | 10-42-2-7.db.prod.svc A 10.42.2.7'],
      [`10-42-3-7.db.prod.svc.${zone}`, 'A', 'NXDOMAIN | SOA'],
      [`idle.default.svc.${zone}`, 'A', 'NXDOMAIN | SOA'],
      [`eager.default.svc.${zone}`, 'A', 'NOERROR | eager.default.svc A 10.42.3.8'],
    ],
  ],
  [
    'ports',
    [
      [
        `_http._tcp.echo.default.svc.${zone}`,
        'SRV',
        'NOERROR | _http._tcp.echo.default.svc SRV 0 100 80 echo.default.svc | + echo.default.svc A 10.43.0.5',
      ],
      [
        `_sql._tcp.db.prod.svc.${zone}`,
        'SRV',
        'NOERROR | _sql._tcp.db.prod.svc SRV 0 100 5433 db-0.db.prod.svc | ' +
          '_sql._tcp.db.prod.svc SRV 0 100 5433 10-42-2-7.db.prod.svc | ' +
          '+ db-0.db.prod.svc A 10.42.1.7 | + 10-42-2-7.db.prod.svc A 10.42.2.7',
      ],
      [`_dns._udp.echo.default.svc.${zone}`, 'A', 'NOERROR | SOA'],
      [`_tcp.echo.default.svc.${zone}`, 'SRV', 'NOERROR | SOA'],
      [`_http._udp.echo.default.svc.${zone}`, 'SRV', 'NXDOMAIN | SOA'],
      [`_nosuch._tcp.echo.default.svc.${zone}`, 'SRV', 'NXDOMAIN | SOA'],
      [`http.tcp.echo.default.svc.${zone}`, 'SRV', 'NXDOMAIN | SOA'],
    ],
  ],
  [
    'external names',
    [
      [`outside.default.svc.${zone}`, 'CNAME', 'NOERROR | outside.default.svc CNAME www.example.com.'],
      [
        `outside.default.svc.${zone}`,
        'A',
        'NOERROR | outside.default.svc CNAME www.example.com. | ? www.example.com A',
      ],
      [
        `alias.default.svc.${zone}`,
        'A',
        'NOERROR | alias.default.svc CNAME echo.default.svc | echo.default.svc A 10.43.0.5',
      ],
      [`alias.default.svc.${zone}`, 'AAAA', 'NOERROR | alias.default.svc CNAME echo.default.svc | SOA'],
    ],
  ],
  [
    'reverse names',
    [
      ['5.0.43.10.in-addr.arpa', 'PTR', 'NOERROR | 5.0.43.10.in-addr.arpa PTR echo.default.svc'],
      ['7.1.42.10.in-addr.arpa', 'PTR', 'NOERROR | 7.1.42.10.in-addr.arpa PTR db-0.db.prod.svc'],
      ['5.1.42.10.in-addr.arpa', 'PTR', 'NOERROR | 5.1.42.10.in-addr.arpa PTR 10-42-1-5.echo.default.svc'],
      ['5.0.43.10.in-addr.arpa', 'TXT', 'NOERROR | SOA'],
      ['200.0.43.10.in-addr.arpa', 'PTR', 'NXDOMAIN | SOA'],
      ['1.0.168.192.in-addr.arpa', 'PTR', 'forward'],
      ['43.10.in-addr.arpa', 'PTR', 'forward'],
    ],
  ],
  [
    'the zone itself',
    [
      [`dns-version.${zone}`, 'TXT', 'NOERROR | dns-version TXT "1.1.0"'],
      [`dns-version.${zone}`, 'A', 'NOERROR | SOA'],
      [zone, 'NS', 'NOERROR | cluster.local NS ns.dns'],
      [zone, 'A', 'NOERROR | SOA'],
      [`ns.dns.${zone}`, 'A', 'NOERROR | ns.dns A 10.43.0.10'],
      [`svc.${zone}`, 'A', 'NOERROR | SOA'],
      [`prod.svc.${zone}`, 'A', 'NOERROR | SOA'],
      [`nowhere.svc.${zone}`, 'A', 'NXDOMAIN | SOA'],
      [`10-42-7-9.prod.pod.${zone}`, 'A', 'NOERROR | 10-42-7-9.prod.pod A 10.42.7.9'],
      [`10-42-7-999.prod.pod.${zone}`, 'A', 'NXDOMAIN | SOA'],
      [`what.${zone}`, 'A', 'NXDOMAIN | SOA'],
      [zone, 'AXFR', 'REFUSED'],
      ['www.example.com', 'A', 'forward'],
      ['notcluster.local', 'A', 'forward'],
    ],
  ],
])('%s', (_group, rows) => {
  test.each(rows)('%s %s', (name, type, expected) => {
    expect(ask(name, type)).toBe(expected);
  });
});

test('an alias of itself ends', () => {
  expect(ask(`loop.default.svc.${zone}`)).toMatch(/^SERVFAIL( \| loop.default.svc CNAME loop.default.svc){8}$/);
});

test('records follow their objects, and what did not change is not built again', () => {
  const builder = createRecordsBuilder();
  const before = builder.build(readerOf(cluster));
  const changed = cluster.map((object) =>
    object.kind === 'EndpointSlice' && object.metadata.name === 'db'
      ? slice('db', [endpoint('10.42.9.9')], [{ name: 'sql', port: 5433 }], 'prod')
      : object,
  );
  const after = builder.build(readerOf(changed));
  expect(ask('db.prod.svc.cluster.local', 'A', after)).toBe('NOERROR | db.prod.svc A 10.42.9.9');
  expect(after.services.get('default/echo')).toBe(before.services.get('default/echo'));
  expect(after.services.get('prod/db')).not.toBe(before.services.get('prod/db'));
  expect(after.version).toBeGreaterThan(before.version);
  const fewer = builder.build(readerOf(cluster.filter(({ metadata }) => metadata.name !== 'echo')));
  expect(ask('echo.default.svc.cluster.local', 'A', fewer)).toBe('NXDOMAIN | SOA');
  expect(ask('5.0.43.10.in-addr.arpa', 'PTR', fewer)).toBe('NXDOMAIN | SOA');
});

test('an external name that DNS cannot carry is left out', () => {
  const broken = service('broken', { type: 'ExternalName', externalName: `${'x'.repeat(64)}.example.com` });
  const built = createRecordsBuilder().build(readerOf([broken]));
  expect(ask('broken.default.svc.cluster.local', 'A', built)).toBe('NXDOMAIN | SOA');
});
