import { classIN, escapeLabel, labelsOf, type Reply, type ResourceRecord, Type, typeCode } from './message.ts';
import { headerBytes, largestUdpBytes, type Query } from './query.ts';

/** Writes one message behind the header and the question of its query. Every name given to it is encodable. */
export class MessageWriter {
  private buffer = Buffer.allocUnsafe(1536);
  private length: number;
  /** Lower-case name -> offset of an earlier occurrence. */
  private readonly offsets = new Map<string, number>();

  constructor(query: Query) {
    this.length = query.questionEnd;
    query.bytes.copy(this.buffer, headerBytes, headerBytes, query.questionEnd);
    let at = headerBytes;
    const labels = labelsOf(query.name);
    for (const [index, label] of labels.entries()) {
      this.offsets.set(labels.slice(index).map(escapeLabel).join('.'), at);
      at += 1 + label.length;
    }
  }

  records(records: readonly ResourceRecord[], room: number): { count: number; complete: boolean } {
    for (const [count, record] of records.entries()) {
      const before = this.length;
      this.record(record);
      if (this.length > room) {
        this.length = before;
        for (const [name, offset] of this.offsets) if (offset >= before) this.offsets.delete(name);
        return { count, complete: false };
      }
    }
    return { count: records.length, complete: true };
  }

  option(extendedRcode: number, dnssecOk: boolean): void {
    this.reserve(11);
    this.byte(0);
    this.short(Type.OPT);
    this.short(largestUdpBytes);
    this.byte(extendedRcode);
    this.byte(0);
    this.short(dnssecOk ? 0x8000 : 0);
    this.short(0);
  }

  finish(
    query: Query,
    reply: Reply,
    counts: { truncated: boolean; answers: number; authorities: number; additionals: number },
  ): Buffer {
    const { buffer } = this;
    buffer.writeUInt16BE(query.id, 0);
    buffer[2] = 0x80 | (reply.authoritative ? 4 : 0) | (counts.truncated ? 2 : 0) | (query.recursionDesired ? 1 : 0);
    buffer[3] = 0x80 | (query.checkingDisabled ? 0x10 : 0) | (reply.rcode & 0xf);
    [1, counts.answers, counts.authorities, counts.additionals].forEach((count, index) => {
      buffer.writeUInt16BE(count, 4 + 2 * index);
    });
    return buffer.subarray(0, this.length);
  }

  private record({ name, ttlSeconds, data }: ResourceRecord): void {
    this.name(name, true);
    this.reserve(10);
    this.short(typeCode(data));
    this.short(classIN);
    this.short(ttlSeconds >>> 16);
    this.short(ttlSeconds & 0xffff);
    const lengthAt = this.length;
    this.short(0);
    this.data(data);
    this.buffer.writeUInt16BE(this.length - lengthAt - 2, lengthAt);
  }

  private data(data: ResourceRecord['data']): void {
    switch (data.type) {
      case 'A':
        this.raw(Uint8Array.from(data.address.split('.'), Number));
        break;
      case 'AAAA':
        this.raw(ipv6Bytes(data.address));
        break;
      case 'CNAME':
      case 'NS':
      case 'PTR':
        this.name(data.target, true);
        break;
      case 'SRV':
        for (const value of [data.priority, data.weight, data.port]) this.short(value);
        // RFC 2782: a target is never compressed; some resolvers refuse it otherwise.
        this.name(data.target, false);
        break;
      case 'TXT':
        this.texts(data.strings);
        break;
      case 'SOA':
        this.startOfAuthority(data);
        break;
      case 'other':
        this.raw(data.bytes);
        break;
    }
  }

  private startOfAuthority(data: Extract<ResourceRecord['data'], { type: 'SOA' }>): void {
    this.name(data.primary, true);
    this.name(data.mailbox, true);
    const { serial, refreshSeconds, retrySeconds, expireSeconds, minimumSeconds } = data;
    this.reserve(20);
    for (const value of [serial, refreshSeconds, retrySeconds, expireSeconds, minimumSeconds]) {
      this.length = this.buffer.writeUInt32BE(value >>> 0, this.length);
    }
  }

  private texts(strings: readonly string[]): void {
    for (const text of strings.length > 0 ? strings : ['']) {
      const bytes = Buffer.from(text, 'utf8');
      for (let at = 0; at === 0 || at < bytes.length; at += 255) {
        const piece = bytes.subarray(at, at + 255);
        this.raw(Uint8Array.of(piece.length));
        this.raw(piece);
      }
    }
  }

  private name(name: string, compress: boolean): void {
    const labels = labelsOf(name);
    this.reserve(name.length + 2 + labels.length);
    for (const [index, label] of labels.entries()) {
      const rest = labels.slice(index).map(escapeLabel).join('.').toLowerCase();
      const known = compress ? this.offsets.get(rest) : undefined;
      if (known !== undefined) {
        this.short(0xc000 | known);
        return;
      }
      // Offsets have 14 bits (RFC 1035 4.1.4).
      if (compress && this.length < 0x4000) this.offsets.set(rest, this.length);
      this.byte(label.length);
      this.length += this.buffer.write(label, this.length, 'latin1');
    }
    this.byte(0);
  }

  private byte(value: number): void {
    this.buffer[this.length] = value;
    this.length += 1;
  }

  private short(value: number): void {
    this.reserve(2);
    this.length = this.buffer.writeUInt16BE(value, this.length);
  }

  private raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}

/** RFC 4291 2.2, all three text forms. */
export function ipv6Bytes(address: string): Uint8Array {
  const withoutDots = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts) => {
    const [a, b, c, d] = parts.slice(0, 4).map(Number);
    return `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`;
  });
  const [head = '', tail] = withoutDots.split('::');
  const groups = (text: string | undefined): number[] =>
    text ? text.split(':').map((group) => Number.parseInt(group, 16)) : [];
  const before = groups(head);
  const after = groups(tail);
  const all = [...before, ...Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after];
  return Uint8Array.from(all.slice(0, 8).flatMap((group) => [group >> 8, group & 0xff]));
}
