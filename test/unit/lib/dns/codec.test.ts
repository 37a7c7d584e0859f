/** Our encoder against dns2's decoder, which is another's work. */
import { Packet } from 'dns2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeAnswer } from '../../../../lib/dns/codec.ts';
import { decodeAnswer } from '../../../../lib/dns/decode.ts';
import { emptyReply, escapeLabel, labelsOf, type RecordData, type Reply, Type } from '../../../../lib/dns/message.ts';
import { parseQuery, type Query } from '../../../../lib/dns/query.ts';
import { encodeQuery } from '../../../../lib/dns/upstream.ts';
import { ipv6Bytes } from '../../../../lib/dns/writer.ts';

function query(name: string, type: number = Type.A, withEdns = true): Query {
  const bytes = encodeQuery(name, type);
  const packet = withEdns ? bytes : bytes.subarray(0, -11);
  if (!withEdns) packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(0x1234, 0);
  const parsed = parseQuery(packet);
  if (parsed.type !== 'query') throw new Error(`not a query: ${parsed.type}`);
  return parsed.query;
}

function reply(name: string, all: readonly RecordData[]): Reply {
  return { ...emptyReply(0, true), answers: all.map((data) => ({ name, ttlSeconds: 5, data })) };
}

const name = 'web.default.svc.cluster.local';

test('every type comes out as it went in', () => {
  const bytes = encodeAnswer(
    query(name),
    reply(name, [
      { type: 'A', address: '10.43.0.5' },
      { type: 'AAAA', address: 'fd00::1' },
      { type: 'CNAME', target: 'other.default.svc.cluster.local' },
      { type: 'SRV', priority: 1, weight: 2, port: 80, target: name },
      { type: 'TXT', strings: ['one', 'two'] },
    ]),
    1232,
  );
  const packet = Packet.parse(bytes);
  expect(packet.errors).toEqual([]);
  expect(packet.header).toMatchObject({ id: 0x1234, qr: 1, aa: 1, tc: 0, rd: 1, ra: 1, rcode: 0 });
  expect(packet.answers.map(({ name: owner, ttl }) => [owner, ttl])).toEqual(Array(5).fill([name, 5]));
  expect(packet.answers).toMatchObject([
    { address: '10.43.0.5' },
    { address: 'fd00::1' },
    { domain: 'other.default.svc.cluster.local' },
    { priority: 1, weight: 2, port: 80, target: name },
    { data: ['one', 'two'] },
  ]);
  expect(packet.additionals).toMatchObject([{ type: Type.OPT, class: 1232 }]);
  const decoded = decodeAnswer(bytes)!;
  expect(decoded.answers.slice(0, 4).map(({ data }) => data)).toEqual([
    { type: 'A', address: '10.43.0.5' },
    { type: 'AAAA', address: 'fd00::1' },
    { type: 'CNAME', target: 'other.default.svc.cluster.local' },
    { type: 'SRV', priority: 1, weight: 2, port: 80, target: name },
  ]);
});

test('an SRV target is written in full', () => {
  const bytes = encodeAnswer(
    query(name),
    reply(name, [{ type: 'SRV', priority: 0, weight: 0, port: 1, target: name }]),
    1232,
  );
  const full = Buffer.concat([
    ...name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)),
    Buffer.of(0),
  ]);
  expect(bytes.subarray(13 + name.length).includes(full)).toBe(true);
});

test('a long TXT string is cut into pieces', () => {
  const long = 'x'.repeat(600);
  const packet = Packet.parse(encodeAnswer(query(name), reply(name, [{ type: 'TXT', strings: [long] }]), 1232));
  expect(packet.errors).toEqual([]);
  expect((packet.answers[0]!.data as string[]).map((piece) => piece.length)).toEqual([255, 255, 90]);
});

test('an answer that does not fit keeps whole records and says so', () => {
  const all: RecordData[] = Array.from({ length: 100 }, (_, index) => ({ type: 'A', address: `10.42.0.${index}` }));
  for (const withEdns of [false, true]) {
    const bytes = encodeAnswer(query(name, Type.A, withEdns), reply(name, all), 512);
    const packet = Packet.parse(bytes);
    expect(bytes.length).toBeLessThanOrEqual(512);
    expect(packet.errors).toEqual([]);
    expect(packet.header.tc).toBe(1);
    expect(packet.answers.length).toBeGreaterThan(20);
    expect(packet.additionals).toHaveLength(withEdns ? 1 : 0);
  }
  expect(Packet.parse(encodeAnswer(query(name), reply(name, all), 65_535)).answers).toHaveLength(100);
});

test('the name is repeated as it was spelled', () => {
  const bytes = encodeAnswer(
    query('WeB.Default.svc.cluster.LOCAL'),
    reply(name, [{ type: 'A', address: '10.43.0.5' }]),
    512,
  );
  expect(Packet.parse(bytes).answers[0]!.name).toBe('WeB.Default.svc.cluster.LOCAL');
});

test('a dot inside a label stays there', () => {
  expect(labelsOf('a\\046b.c')).toEqual(['a.b', 'c']);
  expect(escapeLabel('a.b\\c\x00')).toBe('a\\046b\\092c\\000');
  const packet = Buffer.concat([
    encodeQuery('x', Type.A).subarray(0, 11),
    Buffer.of(0),
    Buffer.from('\x03a.b\x05local\x00\x00\x01\x00\x01', 'latin1'),
  ]);
  expect(parseQuery(packet)).toMatchObject({ type: 'query', query: { name: 'a\\046b.local' } });
});

test('IPv6 in every text form', () => {
  const hex = (address: string): string => Buffer.from(ipv6Bytes(address)).toString('hex');
  expect(hex('::')).toBe('0'.repeat(32));
  expect(hex('::ffff:10.42.0.1')).toBe(`${'0'.repeat(20)}ffff0a2a0001`);
  expect(hex('fe80::1:2')).toBe('fe800000000000000000000000010002');
  expect(hex('1:2:3:4:5:6:7:8')).toBe('00010002000300040005000600070008');
});

describe('packets that are no question to us', () => {
  const good = encodeQuery(name, Type.A);
  const changed = (at: number, ...bytes: number[]): Buffer => {
    const packet = Buffer.from(good);
    packet.set(bytes, at);
    return packet;
  };
  test.each<[string, Buffer, string, number?]>([
    ['too short', Buffer.alloc(11), 'ignore'],
    ['an answer', changed(2, 0x81), 'ignore'],
    ['an update', changed(2, 0x28), 'refuse', 4],
    ['no question', changed(4, 0, 0), 'refuse', 1],
    ['twelve thousand questions', changed(4, 0x2e, 0xe0), 'refuse', 1],
    ['an answer section', changed(6, 0, 1), 'refuse', 1],
    ['a name that runs over the end', good.subarray(0, 20), 'refuse', 1],
    ['a compressed question', changed(12, 0xc0, 12), 'refuse', 1],
    ['an option cut short', good.subarray(0, -3), 'refuse', 1],
    ['too long', Buffer.concat([good, Buffer.alloc(5000)]), 'refuse', 1],
  ])('%s', (_what, packet, outcome, rcode) => {
    const parsed = parseQuery(packet);
    expect(parsed.type).toBe(outcome);
    if (parsed.type === 'refuse') {
      expect(parsed.answer).toHaveLength(12);
      expect([parsed.answer[2]! & 0x80, parsed.answer[3]]).toEqual([0x80, rcode]);
    }
  });
});

test('no bytes break the reader, and what it answers is never longer than an answer may be', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, asQuery) => {
      const packet = Buffer.from(noise);
      if (asQuery && packet.length > 12) packet.set([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, packet[0]! & 1]);
      const parsed = parseQuery(packet);
      if (parsed.type === 'query') {
        const bytes = encodeAnswer(parsed.query, reply(name, [{ type: 'A', address: '10.43.0.5' }]), 512);
        expect(bytes.length).toBeLessThanOrEqual(512);
        expect(bytes.subarray(12, parsed.query.questionEnd)).toEqual(packet.subarray(12, parsed.query.questionEnd));
      }
    }),
    { numRuns: 500 },
  );
});
