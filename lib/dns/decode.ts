/** Reads whole answers (of upstream servers) with dns2's parser, into our records. */
import { Packet } from 'dns2';
import { isEncodable, type Reply, type ResourceRecord, Type } from './message.ts';

export interface DecodedAnswer extends Reply {
  readonly id: number;
  readonly truncated: boolean;
  /** Lower case, as asked. */
  readonly name: string;
  readonly type: number;
}

/** Undefined when it cannot be read or is no answer to one question. */
export function decodeAnswer(bytes: Buffer): DecodedAnswer | undefined {
  let packet: Packet;
  try {
    packet = Packet.parse(bytes);
  } catch {
    return undefined;
  }
  const question = packet.questions[0];
  if (packet.header.qr !== 1 || packet.questions.length !== 1 || !question) return undefined;
  const records = (section: readonly Packet['answers'][number][]): ResourceRecord[] =>
    section.flatMap(toRecord).filter(isWritable);
  return {
    id: packet.header.id,
    rcode: packet.header.rcode,
    authoritative: packet.header.aa === 1,
    truncated: packet.header.tc === 1,
    name: question.name.toLowerCase(),
    type: question.type,
    answers: records(packet.answers),
    authorities: records(packet.authorities),
    additionals: records(packet.additionals),
  };
}

function toRecord(resource: Packet['answers'][number]): ResourceRecord[] {
  const { name, ttl: ttlSeconds, type } = resource;
  if (type === Type.OPT) return [];
  const record = (data: ResourceRecord['data']): ResourceRecord[] => [{ name, ttlSeconds, data }];
  switch (type) {
    case Type.A:
      return record({ type: 'A', address: resource.address ?? '' });
    case Type.AAAA:
      return record({ type: 'AAAA', address: resource.address ?? '::' });
    case Type.CNAME:
      return record({ type: 'CNAME', target: resource.domain ?? '' });
    case Type.PTR:
      return record({ type: 'PTR', target: resource.domain ?? '' });
    case Type.NS:
      return record({ type: 'NS', target: resource.ns ?? '' });
    case Type.SRV: {
      const { priority = 0, weight = 0, port = 0, target = '' } = resource;
      return record({ type: 'SRV', priority, weight, port, target });
    }
    case Type.SOA:
      return record({
        type: 'SOA',
        primary: resource.primary ?? '',
        mailbox: resource.admin ?? '',
        serial: resource.serial ?? 0,
        refreshSeconds: resource.refresh ?? 0,
        retrySeconds: resource.retry ?? 0,
        expireSeconds: Number(resource.expiration ?? 0),
        minimumSeconds: resource.minimum ?? 0,
      });
    default:
      return record({ type: 'other', code: type, bytes: plainData(resource) });
  }
}

function isWritable({ name, data }: ResourceRecord): boolean {
  const names = [name];
  if ('target' in data) names.push(data.target);
  if (data.type === 'SOA') names.push(data.primary, data.mailbox);
  return names.every(isEncodable);
}

/** RDATA with its names in full: dns2 writes the record into an empty message, where there is nothing to point at. */
function plainData(resource: Packet['answers'][number]): Uint8Array {
  const bytes = new Packet.Resource({ ...resource, name: '' }).toBuffer();
  return bytes.subarray(11); // root name, type, class, ttl, length
}
