/**
 * Reads queries (RFC 1035 4.1, EDNS RFC 6891), strictly: one question, bounded size, nothing that could be an answer.
 * Fast, because every packet passes here; whole answers are read by dns2 (decode.ts).
 */
import { classANY, classIN, escapeLabel, Rcode, Type } from './message.ts';

export const headerBytes = 12;
/** Larger queries are broken or hostile. */
export const longestQueryBytes = 4096;
/** What passes any path unfragmented; we never send more over UDP, whatever the client offers (DNS Flag Day 2020). */
export const largestUdpBytes = 1232;
export const plainUdpBytes = 512;
export const largestTcpBytes = 65_535;

export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** Lower case, escaped. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question as it came: from 12 to questionEnd. */
  readonly bytes: Buffer;
  readonly questionEnd: number;
  /** Present when the query has an OPT record. */
  readonly edns?: { readonly udpBytes: number; readonly version: number; readonly dnssecOk: boolean };
}

export type ParsedQuery =
  | { readonly type: 'query'; readonly query: Query }
  /** Too short to be DNS, or an answer: saying anything could feed a loop. */
  | { readonly type: 'ignore' }
  | { readonly type: 'refuse'; readonly answer: Buffer };

export function parseQuery(bytes: Buffer): ParsedQuery {
  if (bytes.length < headerBytes || (bytes[2]! & 0x80) !== 0) return { type: 'ignore' };
  if (((bytes[2]! >> 3) & 0xf) !== 0) return refuse(bytes, Rcode.NOTIMP);
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  if (bytes.length > longestQueryBytes || questions !== 1 || answers !== 0 || authorities !== 0 || additionals! > 2) {
    return refuse(bytes, Rcode.FORMERR);
  }
  const question = readName(bytes, headerBytes);
  if (!question || question.end + 4 > bytes.length) return refuse(bytes, Rcode.FORMERR);
  const questionEnd = question.end + 4;
  const edns = readOption(bytes, questionEnd, additionals!);
  if (edns === 'broken') return refuse(bytes, Rcode.FORMERR);
  const query: Query = {
    id: bytes.readUInt16BE(0),
    recursionDesired: (bytes[2]! & 1) !== 0,
    checkingDisabled: (bytes[3]! & 0x10) !== 0,
    name: question.name.toLowerCase(),
    type: bytes.readUInt16BE(question.end),
    class: bytes.readUInt16BE(question.end + 2),
    bytes,
    questionEnd,
    ...(edns && { edns }),
  };
  return { type: 'query', query };
}

/** Header alone: a broken question cannot be repeated. */
function refuse(bytes: Buffer, rcode: number): ParsedQuery {
  const answer = Buffer.alloc(headerBytes);
  bytes.copy(answer, 0, 0, 3);
  answer[2] = (answer[2]! & 0x79) | 0x80;
  answer[3] = rcode;
  return { type: 'refuse', answer };
}

/** A name without compression, which a question never has. */
function readName(bytes: Buffer, start: number): { name: string; end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > 63 || at + 1 + length > bytes.length || at - start > 254) return undefined;
    if (length === 0) return { name: labels.map(escapeLabel).join('.'), end: at + 1 };
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** At most one OPT (RFC 6891 6.1.1); other additional records of a query (TSIG) are not understood, so skipped. */
function readOption(bytes: Buffer, start: number, count: number): Query['edns'] | 'broken' {
  let edns: Query['edns'];
  let at = start;
  for (let index = 0; index < count; index += 1) {
    const owner = readName(bytes, at);
    if (!owner || owner.end + 10 > bytes.length) return 'broken';
    const { end } = owner;
    at = end + 10 + bytes.readUInt16BE(end + 8);
    if (at > bytes.length) return 'broken';
    if (bytes.readUInt16BE(end) !== Type.OPT) continue;
    if (edns || owner.name !== '') return 'broken';
    const dnssecOk = (bytes[end + 6]! & 0x80) !== 0;
    edns = { udpBytes: bytes.readUInt16BE(end + 2), version: bytes[end + 5]!, dnssecOk };
  }
  return edns;
}

/** Only the Internet's class is served. */
export function isServedClass(query: Query): boolean {
  return query.class === classIN || query.class === classANY;
}

/** Whether `answer` is one to this query: id, QR and question. */
export function sameQuestion(query: Buffer, answer: Buffer): boolean {
  if (answer.length < headerBytes || (answer[2]! & 0x80) === 0) return false;
  if (answer[0] !== query[0] || answer[1] !== query[1]) return false;
  if (answer.readUInt16BE(4) !== 1) return false;
  const end = questionEnd(query);
  const text = (bytes: Buffer): string => bytes.toString('latin1', headerBytes, end).toLowerCase();
  return answer.length >= end && text(answer) === text(query);
}

function questionEnd(query: Buffer): number {
  let at = headerBytes;
  while (query[at] !== 0 && at < query.length) at += 1 + query[at]!;
  return at + 5;
}
