/**
 * Connections to etcd's endpoints: one etcd3 client each, of which one is current.
 *
 * A call that etcd3 surely never sent moves on to the next endpoint, whatever it was; one that may have arrived does so
 * only if it reads. The endpoint that failed stops being the current one.
 */
import type { Etcd3 } from 'etcd3';
import type { Clock } from '../clock.ts';
import { Code, type CodeName, GantryError, messageOf } from '../errors.ts';
import { EtcdEndpoint } from './etcd-endpoint.ts';
import { watchHealth } from './etcd-health.ts';
import { AmbiguousWriteError, CompactedError, futureRevisionError, leaseNotFoundError } from './store.ts';

export interface EtcdTls {
  /** PEM: who may have signed the server's certificate. */
  readonly ca: string | Uint8Array;
  /** PEM: our certificate and its key, by which etcd knows us. */
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /**
   * The DNS name the server's certificate must carry. Default: the endpoint's host; but an IP address cannot be a TLS
   * server name (RFC 6066 section 3), and in its place stands `etcdServerName`.
   */
  readonly serverName?: string;
}

export { etcdServerName } from './etcd-endpoint.ts';

export interface EtcdOptions {
  /** `host:port`, each a member of the same cluster. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  /** Every call ends within this. Default 5,000 ms. */
  readonly timeoutMs?: number;
}

/** Of a URL such as https://10.0.0.5:2379. */
export const hostAndPort = (url: string): string => url.replace(/^https?:\/\//, '').replace(/\/$/, '');

export interface CallOptions {
  readonly deadline: number;
}

/** What is being asked; the revision and lease make better errors. */
export interface CallIntent {
  /** Must not be repeated unless it surely was not sent. */
  readonly write: boolean;
  readonly revision?: bigint;
  readonly lease?: string;
}

type Call<T> = (client: Etcd3, options: CallOptions) => Promise<T>;

/**
 * How long a write may go without an answer where other members could give one. A member that lost its leader keeps
 * what it was asked for seven seconds; the cluster has elected another one long before.
 */
const writePatienceMs = 2000;

export class EtcdClient {
  readonly #options: EtcdOptions;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #endHealthWatch: () => void;
  #endpoints: readonly EtcdEndpoint[] = [];
  #current = 0;
  #closed = false;

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.setEndpoints(options.endpoints);
    this.#endHealthWatch = watchHealth({
      clock: options.clock,
      endpoints: () => (this.#endpoints.length > 1 ? this.#endpoints.filter(({ isInUse }) => isInUse) : []),
      onGone: (endpoint, reason) => {
        this.giveUpOn(endpoint);
        endpoint.declareGone(reason);
      },
    });
  }

  get endpoints(): readonly string[] {
    return this.#endpoints.map(({ address }) => address);
  }

  /** The members have changed. The current endpoint stays so if it is still one. */
  setEndpoints(addresses: readonly string[]): void {
    if (addresses.length === 0) {
      throw new GantryError('invalidArgument', 'no etcd endpoint given; name at least one as host:port');
    }
    const before = this.#endpoints;
    const current = before[this.#current]?.address;
    try {
      this.#endpoints = addresses.map(
        (address) => before.find((known) => known.address === address) ?? new EtcdEndpoint(address, this.#options.tls),
      );
    } catch (error) {
      const message = `the certificates for etcd cannot be used (${messageOf(error)}); give ca, cert and key as PEM`;
      throw new GantryError('invalidArgument', message, { cause: error });
    }
    this.#current = Math.max(0, addresses.indexOf(current ?? ''));
    for (const endpoint of before) if (!this.#endpoints.includes(endpoint)) retire(endpoint);
  }

  get current(): EtcdEndpoint {
    if (this.#closed) throw new GantryError('cancelled', 'the store was closed');
    return this.#endpoints[this.#current]!;
  }

  /** Makes another endpoint the current one, unless that has happened already. */
  giveUpOn(endpoint: EtcdEndpoint): void {
    if (this.#endpoints[this.#current] === endpoint) this.#current = (this.#current + 1) % this.#endpoints.length;
  }

  /** Calls and watches go to another member from now on, if there is one: this one is about to answer nobody for a while. */
  leave(address: string): void {
    const endpoint = this.#endpoints.find((one) => one.address === address);
    if (!endpoint || this.#endpoints.length === 1) return;
    this.giveUpOn(endpoint);
    endpoint.declareGone('is left alone for a while');
  }

  async call<T>(intent: CallIntent, call: Call<T>): Promise<T> {
    const end = this.#clock.nowMs() + this.#timeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      const endpoint = this.current;
      const attemptsLeft = this.#endpoints.length + 2 - attempt; // every endpoint, and the first one again
      const deadline = this.#clock.nowMs() + this.#attemptMs(intent, end - this.#clock.nowMs(), attemptsLeft);
      try {
        return await endpoint.untilGone(call(endpoint.client, { deadline }));
      } catch (error) {
        if (this.#closed) throw new GantryError('cancelled', 'the store was closed', { cause: error });
        const failure = readFailure(error);
        if (!failure.unanswered) throw applicationError(failure, intent, error);
        this.giveUpOn(endpoint);
        const mayRepeat = failure.neverSent || !intent.write;
        if (attemptsLeft <= 1 || !mayRepeat || this.#clock.nowMs() >= end) {
          throw unansweredError(endpoint.address, failure, intent, error);
        }
      }
    }
  }

  /** One call to this very member, whoever is the current one; never repeated. */
  async callAt<T>(address: string, timeoutMs: number, intent: CallIntent, call: Call<T>): Promise<T> {
    const known = this.#endpoints.find((endpoint) => endpoint.address === address);
    const endpoint = known ?? new EtcdEndpoint(address, this.#options.tls);
    try {
      return await endpoint.untilGone(call(endpoint.client, { deadline: this.#clock.nowMs() + timeoutMs }));
    } catch (error) {
      const failure = readFailure(error);
      throw failure.unanswered
        ? unansweredError(address, failure, intent, error)
        : applicationError(failure, intent, error);
    } finally {
      if (!known) endpoint.close();
    }
  }

  close(): void {
    this.#closed = true;
    this.#endHealthWatch();
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  /** A read leaves time for the other endpoints; a write has one shot once it is sent. */
  #attemptMs({ write }: CallIntent, remainingMs: number, attemptsLeft: number): number {
    if (!write) return remainingMs / attemptsLeft;
    return this.#endpoints.length > 1 ? Math.min(remainingMs, writePatienceMs) : remainingMs;
  }
}

function retire(endpoint: EtcdEndpoint): void {
  endpoint.declareGone('is no longer one of the endpoints');
  endpoint.close();
}

export interface Failure {
  readonly code: number;
  readonly text: string;
  /** The network or the member failed, not the request. */
  readonly unanswered: boolean;
  /** grpc-js had no connection to send it on. */
  readonly neverSent: boolean;
}

/** What grpc-js says when a call was failed before any connection took it. */
const neverSentPattern = /No connection established|Channel closed before call started|Name resolution failed/;

const unansweredCodes = new Set<number>([
  Code.unavailable,
  Code.deadlineExceeded,
  Code.cancelled,
  Code.internal,
  Code.unknown,
  Code.resourceExhausted,
]);

/** From etcd, and from the gRPC library below it. */
const tooLargePattern = /request is too large|received message larger than max/;

/** etcd3 replaces grpc's errors by its own, which keep the code only as the number the message begins with. */
export function readFailure(error: unknown): Failure {
  const text = messageOf(error)
    .replace(/^\w*Error: /, '')
    .replace(/\. Resolution note: *$/, '');
  const code = Number(/^(\d+) [A-Z_]+:/.exec(text)?.[1] ?? Code.unknown);
  // etcd's own refusals name it; a broken HTTP/2 stream can appear as nearly any other code.
  const refused =
    (text.includes('etcdserver:') || tooLargePattern.test(text)) &&
    code !== Code.unavailable &&
    code !== Code.deadlineExceeded;
  const unanswered = !refused && unansweredCodes.has(code);
  return { code, text, unanswered, neverSent: code === Code.unavailable && neverSentPattern.test(text) };
}

function unansweredError(address: string, failure: Failure, intent: CallIntent, cause: unknown): GantryError {
  const message = `etcd at ${address} does not answer (${failure.text})`;
  if (!intent.write || failure.neverSent) {
    return new GantryError('unavailable', `${message}; check that etcd runs there`, { cause });
  }
  return new AmbiguousWriteError(`${message}; the write may have landed: read back before repeating it`, { cause });
}

const codeNames = new Map<number, CodeName>(Object.entries(Code).map(([name, code]) => [code, name as CodeName]));

function applicationError({ code, text }: Failure, intent: CallIntent, cause: unknown): GantryError {
  if (text.includes('has been compacted')) return new CompactedError(intent.revision ?? 0n);
  if (text.includes('is a future revision')) return futureRevisionError(intent.revision ?? 0n);
  if (text.includes('lease not found')) return leaseNotFoundError(intent.lease ?? '');
  if (text.includes('database space exceeded')) return new GantryError('resourceExhausted', outOfSpace, { cause });
  if (tooLargePattern.test(text)) {
    return new GantryError('invalidArgument', 'the transaction is larger than etcd accepts; split it', { cause });
  }
  return new GantryError(codeNames.get(code) ?? 'unknown', `etcd refused the request: ${text}`, { cause });
}

export const outOfSpace =
  "etcd's database has reached its quota and refuses writes (alarm NOSPACE); compact and defragment it, " +
  'raise --quota-backend-bytes if it is truly full, then run `etcdctl alarm disarm`';
