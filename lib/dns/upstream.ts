/**
 * Names that are not ours go to other servers: over UDP from a fresh port with a fresh id each time (RFC 5452), over
 * TCP when the client came that way or the answer does not fit. Bounded: equal questions in flight are asked once, and
 * beyond `mostInFlight` the client is told to try later. A question that comes back to us in a loop meets itself here
 * and ends with its deadline.
 */
import type { Clock } from '../clock.ts';
import { GantryError } from '../errors.ts';
import type { Random } from '../random.ts';
import { type DecodedAnswer, decodeAnswer } from './decode.ts';
import { exchange } from './exchange.ts';
import { labelsOf, Rcode, Type } from './message.ts';
import { largestUdpBytes } from './query.ts';

export interface Server {
  readonly address: string;
  readonly port: number;
}

export interface Upstream {
  /** The query as the client sent it; the answer has its id. Rejects (GantryError unavailable) when nobody answers. */
  forward(query: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer>;
  /** Asks on our own behalf and reads the answer. `server` is who gave it. */
  ask(name: string, type: number): Promise<{ answer: DecodedAnswer; server: string }>;
}

export interface UpstreamOptions {
  /** Asked again for each question: resolv.conf may change. */
  readonly servers: () => readonly Server[] | Promise<readonly Server[]>;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs?: number;
  readonly mostInFlight?: number;
}

interface Result {
  readonly bytes: Buffer;
  readonly server: string;
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const { clock, random, timeoutMs = 1500, mostInFlight = 256 } = options;
  const inFlight = new Map<string, Promise<Result>>();

  async function askServers(query: Buffer, transport: 'udp' | 'tcp'): Promise<Result> {
    const servers = await options.servers();
    let refusal: Result | undefined;
    const lastTryMs = clock.monotonicMs() + 2 * timeoutMs;
    // Two rounds: one lost packet must not be an error. But clients do not wait for ever.
    for (const { address, port } of [...servers, ...servers]) {
      if (clock.monotonicMs() > lastTryMs) break;
      const request = Buffer.from(query);
      request.set(random.bytes(2), 0);
      const bytes = await exchange(request, { address, port, transport, timeoutMs, clock }).catch(() => undefined);
      if (!bytes) continue;
      const result = { bytes, server: address };
      const rcode = bytes[3]! & 0xf;
      if (rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN) return result;
      refusal ??= result;
    }
    if (refusal) return refusal;
    const tried = servers.map(({ address }) => address).join(', ');
    throw new GantryError(
      'unavailable',
      tried === ''
        ? 'no upstream DNS server is known; name one in /etc/resolv.conf of the machine'
        : `no answer from upstream DNS ${tried}`,
    );
  }

  function askOnce(query: Buffer, transport: 'udp' | 'tcp'): Promise<Result> {
    const key = transport + query.toString('latin1', 2).toLowerCase();
    const known = inFlight.get(key);
    if (known) return known;
    if (inFlight.size >= mostInFlight) {
      return Promise.reject(new GantryError('resourceExhausted', `${mostInFlight} questions wait for upstream DNS`));
    }
    const result = askServers(query, transport).finally(() => inFlight.delete(key));
    inFlight.set(key, result);
    return result;
  }

  return {
    async forward(query, transport) {
      const { bytes } = await askOnce(query, transport);
      const answer = Buffer.from(bytes);
      query.copy(answer, 0, 0, 2);
      return answer;
    },

    async ask(name, type) {
      const query = encodeQuery(name, type);
      let { bytes, server } = await askOnce(query, 'udp');
      if ((bytes[2]! & 2) !== 0) ({ bytes, server } = await askOnce(query, 'tcp'));
      const answer = decodeAnswer(bytes);
      if (answer) return { answer, server };
      throw new GantryError('unavailable', `upstream DNS ${server} sent an answer that cannot be read`);
    },
  };
}

/** With id 0 (each sending gets its own), RD, and an OPT record. */
export function encodeQuery(name: string, type: number): Buffer {
  const labels = labelsOf(name).flatMap((label) => [Buffer.of(label.length), Buffer.from(label, 'latin1')]);
  const header = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  const tail = Buffer.from([0, type >> 8, type & 0xff, 0, 1]);
  const option = Buffer.from([0, 0, Type.OPT, largestUdpBytes >> 8, largestUdpBytes & 0xff, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, tail, option]);
}

/** Pure: the `nameserver` lines of resolv.conf, without the addresses that are ourselves. */
export function parseResolvConf(text: string, own: readonly Server[]): Server[] {
  const servers = text.split('\n').flatMap((line) => {
    const address = /^\s*nameserver\s+([^\s#;%]+)/.exec(line)?.[1];
    return address === undefined ? [] : [{ address, port: 53 }];
  });
  return servers
    .filter(({ address, port }) => !own.some((self) => self.address === address && self.port === port))
    .slice(0, 3);
}

/** Pure: `10.0.0.1`, `10.0.0.1:5353`. */
export function parseServer(text: string): Server {
  const [address = '', port = '53'] = text.split(':');
  return { address, port: Number(port) };
}
