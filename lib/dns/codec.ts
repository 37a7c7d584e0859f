/**
 * Writes answers (RFC 1035 4, EDNS RFC 6891). Owner names and the names inside CNAME, NS, PTR and SOA are compressed;
 * when not everything fits, whole records are kept and TC is set.
 */
import type { Reply } from './message.ts';
import { largestTcpBytes, largestUdpBytes, plainUdpBytes, type Query } from './query.ts';
import { MessageWriter } from './writer.ts';

/** Most bytes an answer to this query may have. */
export function answerLimit(query: Query, transport: 'udp' | 'tcp'): number {
  if (transport === 'tcp') return largestTcpBytes;
  // Two sizes only, so that encoded answers can be shared.
  return (query.edns?.udpBytes ?? 0) >= largestUdpBytes ? largestUdpBytes : plainUdpBytes;
}

export function encodeAnswer(query: Query, reply: Reply, limitBytes: number): Buffer {
  const writer = new MessageWriter(query);
  const optionBytes = query.edns ? 11 : 0;
  const room = limitBytes - optionBytes;
  const answers = writer.records(reply.answers, room);
  const authorities = answers.complete ? writer.records(reply.authorities, room) : { count: 0, complete: false };
  // Additional records are a courtesy: leaving some out is no truncation (RFC 2181 9).
  const additionals = authorities.complete ? writer.records(reply.additionals, room) : { count: 0, complete: false };
  if (query.edns) writer.option(reply.rcode >> 4, query.edns.dnssecOk);
  return writer.finish(query, reply, {
    truncated: !answers.complete || !authorities.complete,
    answers: answers.count,
    authorities: authorities.count,
    additionals: additionals.count + (query.edns ? 1 : 0),
  });
}
