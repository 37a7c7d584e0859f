/** The responder with a fake upstream: what is cached, what is asked outside, and what goes wrong there. */
import { Packet } from 'dns2';
import { expect, test } from 'vitest';
import { encodeAnswer } from '../../../../lib/dns/codec.ts';
import { decodeAnswer } from '../../../../lib/dns/decode.ts';
import { emptyReply, Rcode, Type } from '../../../../lib/dns/message.ts';
import { parseQuery } from '../../../../lib/dns/query.ts';
import { createRecordsBuilder, type Records } from '../../../../lib/dns/records.ts';
import { createResponder, type Responder, type ResponderOptions } from '../../../../lib/dns/respond.ts';
import { encodeQuery, parseResolvConf, type Upstream } from '../../../../lib/dns/upstream.ts';
import { silentLog } from '../../../../lib/log.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { cluster, endpoint, options, readerOf, records, slice } from './fixtures.ts';

/** Knows www.example.com; everything else outside does not exist; `fail` is not answered. */
function fakeUpstream(asked: string[] = []): Upstream {
  const answerTo = (name: string, bytes: Buffer): Buffer => {
    asked.push(name);
    if (name.startsWith('fail')) throw new Error('no answer');
    const parsed = parseQuery(bytes);
    if (parsed.type !== 'query') throw new Error('not a query');
    const found = {
      ...emptyReply(0),
      answers: [{ name, ttlSeconds: 60, data: { type: 'A', address: '192.0.2.1' } as const }],
    };
    return encodeAnswer(parsed.query, name === 'www.example.com' ? found : emptyReply(Rcode.NXDOMAIN), 1232);
  };
  return {
    forward: async (query) => {
      const parsed = parseQuery(query);
      return answerTo(parsed.type === 'query' ? parsed.query.name : '', query);
    },
    ask: async (name, type) => ({ answer: decodeAnswer(answerTo(name, encodeQuery(name, type)))!, server: 'fake' }),
  };
}

function responder(
  current: () => Records | undefined = () => records,
  asked: string[] = [],
  more: Partial<ResponderOptions> = {},
): Responder {
  return createResponder({
    ...options,
    ...more,
    records: current,
    upstream: fakeUpstream(asked),
    random: seededRandom(7),
    log: silentLog,
  });
}

async function ask(to: Responder, name: string, type: number = Type.A, client = '10.0.0.1'): Promise<Packet> {
  const query = encodeQuery(name, type);
  query.writeUInt16BE(0x4242, 0);
  const answer = await to.respond(query, 'udp', client);
  const packet = Packet.parse(answer!);
  expect([packet.header.id, packet.errors]).toEqual([0x4242, []]);
  return packet;
}

const addressesIn = (packet: Packet): (string | undefined)[] =>
  packet.answers.map(({ address, domain }) => address ?? domain);

test('repeated questions get the same answer under their own id and spelling', async () => {
  const server = responder();
  const first = await ask(server, 'echo.default.svc.cluster.local');
  const second = await ask(server, 'ECHO.default.svc.cluster.local');
  expect(addressesIn(first)).toEqual(['10.43.0.5']);
  expect(addressesIn(second)).toEqual(['10.43.0.5']);
  expect(second.questions[0]!.name).toBe('ECHO.default.svc.cluster.local');
  expect(second.answers[0]!.name).toBe('ECHO.default.svc.cluster.local');
});

test('the same question with and without EDNS, of other types and from other namespaces is not mixed up', async () => {
  const server = responder();
  const name = 'echo.default.prod.svc.cluster.local';
  const plain = encodeQuery(name, Type.A).subarray(0, -11);
  plain.writeUInt16BE(0, 10);
  const withoutOption = async (client: string): Promise<Packet> =>
    Packet.parse((await server.respond(Buffer.from(plain), 'udp', client))!);
  for (let round = 0; round < 3; round += 1) {
    expect((await ask(server, name)).header.rcode).toBe(Rcode.NXDOMAIN);
    expect(addressesIn(await ask(server, name, Type.A, '10.42.1.99'))).toEqual([
      'echo.default.svc.cluster.local',
      '10.43.0.5',
    ]);
    expect((await withoutOption('10.0.0.1')).header.rcode).toBe(Rcode.NXDOMAIN);
    const found = await withoutOption('10.42.1.99');
    expect([found.answers.length, found.additionals.length]).toEqual([2, 0]);
    expect((await ask(server, name, Type.AAAA, '10.42.1.99')).answers).toHaveLength(1);
  }
});

test('a change is seen by the next question', async () => {
  const builder = createRecordsBuilder();
  let current = builder.build(readerOf(cluster));
  const server = responder(() => current);
  expect(addressesIn(await ask(server, 'db.prod.svc.cluster.local')).sort()).toEqual(['10.42.1.7', '10.42.2.7']);
  current = builder.build(
    readerOf([
      ...cluster.filter(({ kind, metadata }) => kind !== 'EndpointSlice' || metadata.name !== 'db'),
      slice('db', [endpoint('10.42.5.5')], [], 'prod'),
    ]),
  );
  expect(addressesIn(await ask(server, 'db.prod.svc.cluster.local'))).toEqual(['10.42.5.5']);
});

test('several addresses come in changing order', async () => {
  const server = responder();
  const firsts = new Set<string | undefined>();
  for (let index = 0; index < 4; index += 1) firsts.add(addressesIn(await ask(server, 'db.prod.svc.cluster.local'))[0]);
  expect(firsts.size).toBe(2);
});

test('before anything is known the answer is "later", not "no"', async () => {
  expect(
    (
      await ask(
        responder(() => undefined),
        'echo.default.svc.cluster.local',
      )
    ).header.rcode,
  ).toBe(Rcode.SERVFAIL);
});

test('names outside', async () => {
  const asked: string[] = [];
  const server = responder(undefined, asked);
  expect(addressesIn(await ask(server, 'www.example.com'))).toEqual(['192.0.2.1']);
  expect((await ask(server, 'nosuch.example.com')).header.rcode).toBe(Rcode.NXDOMAIN);
  expect((await ask(server, 'fail.example.com')).header.rcode).toBe(Rcode.SERVFAIL);
  const inSearchPath = (name: string) => ask(server, `${name}.prod.svc.cluster.local`, Type.A, '10.42.1.99');
  expect(addressesIn(await inSearchPath('www.example.com'))).toEqual(['www.example.com', '192.0.2.1']);
  // No such name outside, or nobody to ask there: what the name itself deserved, and the resolver goes on.
  for (const name of ['nosuch.example.com', 'fail.example.com']) {
    const packet = await inSearchPath(name);
    expect([packet.header.rcode, packet.answers.length, packet.authorities.length]).toEqual([Rcode.NXDOMAIN, 0, 1]);
  }
  const external = await ask(server, 'outside.default.svc.cluster.local');
  expect(addressesIn(external)).toEqual(['www.example.com', '192.0.2.1']);
  expect(asked).toContain('www.example.com');
  expect(asked.every((name) => !name.endsWith('cluster.local'))).toBe(true);
});

test('questions that are not for us are refused in the right words', async () => {
  const server = responder();
  const query = encodeQuery('www.example.com', Type.A);
  query[2] = 0;
  expect(Packet.parse((await server.respond(query, 'udp', ''))!).header.rcode).toBe(Rcode.REFUSED);
  const chaos = encodeQuery('version.bind', Type.TXT);
  chaos[chaos.length - 12] = 3;
  expect(Packet.parse((await server.respond(chaos, 'udp', ''))!).header.rcode).toBe(Rcode.REFUSED);
  const later = encodeQuery('echo.default.svc.cluster.local', Type.A);
  later[later.length - 5] = 1;
  expect(Packet.parse((await server.respond(later, 'udp', ''))!).header.rcode).toBe(Rcode.BADVERS);
});

test('resolv.conf without ourselves', () => {
  const text =
    '# comment\nsearch x\nnameserver 10.43.0.10\n nameserver 192.0.2.53 # far\nnameserver fe80::1%eth0\noptions ndots:5\n';
  expect(parseResolvConf(text, [{ address: '10.43.0.10', port: 53 }])).toEqual([
    { address: '192.0.2.53', port: 53 },
    { address: 'fe80::1', port: 53 },
  ]);
});

test('whoever may not ask for names outside is told ours, and the alias that leads outside', async () => {
  const asked: string[] = [];
  const server = responder(() => records, asked, { mayRecurse: (client) => client === '10.0.0.1' });
  const stranger = '203.0.113.9';
  expect((await ask(server, 'www.example.com', Type.A, stranger)).header.rcode).toBe(Rcode.REFUSED);
  expect(addressesIn(await ask(server, 'echo.default.svc.cluster.local', Type.A, stranger))).toEqual(['10.43.0.5']);
  const alias = await ask(server, 'outside.default.svc.cluster.local', Type.A, stranger);
  expect([alias.header.rcode, addressesIn(alias)]).toEqual([Rcode.NOERROR, ['www.example.com']]);
  expect(asked).toEqual([]);
  expect(addressesIn(await ask(server, 'www.example.com'))).toEqual(['192.0.2.1']);
  expect((await ask(server, 'www.example.com', Type.A, stranger)).header.rcode).toBe(Rcode.REFUSED);
});
