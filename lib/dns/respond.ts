/**
 * From a packet to its answer: at once when the answer is known, later when someone else must be asked. Never throws,
 * never answers an answer, and says as little as it may to what it cannot read.
 */
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Random } from '../random.ts';
import type { AnswerOptions } from './answer.ts';
import { createAnswerCache } from './answer-cache.ts';
import { answerLimit, encodeAnswer } from './codec.ts';
import { emptyReply, Rcode, type Reply } from './message.ts';
import { ordersOf } from './orders.ts';
import { headerBytes, isServedClass, parseQuery, type Query } from './query.ts';
import type { Records } from './records.ts';
import { answerWithSearch, type SearchAnswer } from './search-path.ts';
import type { Upstream } from './upstream.ts';

export type Transport = 'udp' | 'tcp';

export interface ResponderOptions extends AnswerOptions {
  /** The records of now; a new object whenever they changed. Undefined while nothing is known yet. */
  readonly records: () => Records | undefined;
  readonly upstream: Upstream;
  /** Whose questions are passed on to other servers; everybody's when absent. */
  readonly mayRecurse?: (clientAddress: string) => boolean;
  readonly random: Random;
  readonly log: Log;
}

export interface Responder {
  /** Undefined: say nothing. */
  respond(packet: Buffer, transport: Transport, clientAddress: string): Reaction | Promise<Reaction>;
}

export type Reaction = Buffer | undefined;

export function createResponder(options: ResponderOptions): Responder {
  const { upstream, random, log, mayRecurse = () => true } = options;
  const cache = createAnswerCache();
  let cachedRecords: Records | undefined;

  function respond(packet: Buffer, transport: Transport, clientAddress: string): Reaction | Promise<Reaction> {
    const records = options.records();
    if (records !== cachedRecords) {
      cache.clear();
      cachedRecords = records;
    }
    const namespace = records?.podNamespaces.get(clientAddress);
    // Without EDNS the question is all of the packet: no need to take it apart.
    const plain = packet.length > headerBytes && isPlainQuery(packet);
    const plainKey = plain ? cacheKey(transport, namespace, packet, packet.length) : '';
    const plainHit = plain ? cache.get(plainKey, packet) : undefined;
    if (plainHit) return plainHit;

    const parsed = parseQuery(packet);
    if (parsed.type === 'ignore') return undefined;
    if (parsed.type === 'refuse') return parsed.answer;
    const { query } = parsed;
    const limitBytes = answerLimit(query, transport);
    const say = (reply: Reply): Buffer => encodeAnswer(query, reply, limitBytes);
    if (query.edns && query.edns.version > 0) return say(emptyReply(Rcode.BADVERS));
    if (!isServedClass(query)) return say(emptyReply(Rcode.REFUSED));
    const optionKey = query.edns ? `${limitBytes}${query.edns.dnssecOk ? 'd' : ''}` : '';
    const key = plain ? plainKey : optionKey + cacheKey(transport, namespace, packet, query.questionEnd);
    const hit = plain ? undefined : cache.get(key, packet);
    if (hit) return hit;

    if (!records) return say(emptyReply(Rcode.SERVFAIL));
    const found = answerWithSearch(query, records, options, namespace);
    if (!found) return mayRecurse(clientAddress) ? forward(query, transport, say) : say(emptyReply(Rcode.REFUSED));
    if (found.chase) return mayRecurse(clientAddress) ? chase(found, say) : say(found.otherwise ?? found.reply);
    const orders = ordersOf(found.reply, random).map(say);
    cache.set(key, query.questionEnd, orders);
    return orders[0];
  }

  async function forward(query: Query, transport: Transport, say: (reply: Reply) => Buffer): Promise<Buffer> {
    // Who does not want recursion wants our own names alone.
    if (!query.recursionDesired) return say(emptyReply(Rcode.REFUSED));
    try {
      const answer = await upstream.forward(query.bytes, transport);
      if (answer.length <= answerLimit(query, transport)) return answer;
      const cut = say(emptyReply(answer[3]! & 0xf));
      cut[2] = cut[2]! | 2;
      return cut;
    } catch (error) {
      log.debug({ name: query.name, error: messageOf(error) }, 'name not resolved upstream');
      return say(emptyReply(Rcode.SERVFAIL));
    }
  }

  async function chase(found: SearchAnswer, say: (reply: Reply) => Buffer): Promise<Buffer> {
    const { reply, otherwise } = found;
    const { name, type } = found.chase!;
    try {
      const { answer } = await upstream.ask(name, type);
      if (otherwise && answer.rcode !== Rcode.NOERROR) return say(otherwise);
      return say({
        rcode: answer.rcode,
        authoritative: false,
        answers: [...reply.answers, ...answer.answers],
        authorities: answer.answers.length > 0 ? [] : answer.authorities,
        additionals: [],
      });
    } catch (error) {
      log.debug({ name, error: messageOf(error) }, 'name not resolved upstream');
      return say(otherwise ?? { ...reply, rcode: Rcode.SERVFAIL, authoritative: false });
    }
  }

  return {
    respond(packet, transport, clientAddress) {
      try {
        return respond(packet, transport, clientAddress);
      } catch (error) {
        log.error({ error: messageOf(error) }, 'a DNS query could not be answered');
        return serverFailure(packet);
      }
    },
  };
}

/** A query with one question and nothing else. */
function isPlainQuery(packet: Buffer): boolean {
  return (packet[2]! & 0xfa) === 0 && packet.readUInt32BE(4) === 0x10000 && packet.readUInt32BE(8) === 0;
}

/** Length bytes are below "A", so that lower case leaves them as they are. */
function cacheKey(transport: Transport, namespace: string | undefined, packet: Buffer, end: number): string {
  return `${transport}${namespace ?? ''}|${packet.toString('latin1', headerBytes, end).toLowerCase()}`;
}

function serverFailure(packet: Buffer): Buffer {
  const answer = Buffer.alloc(headerBytes);
  packet.copy(answer, 0, 0, 2);
  answer[2] = 0x80;
  answer[3] = Rcode.SERVFAIL;
  return answer;
}
