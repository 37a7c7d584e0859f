/** One call of the simulated RPC: a connection of its own with a pipe each way, and all that can become of it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { GantryError } from '../../lib/errors.ts';
import type { Peer } from '../../lib/rpc/peer.ts';
import type { CallContext, Handlers } from '../../lib/rpc/serve-call.ts';
import { type MethodShape, methodKind, type ServiceName, type serviceDefinition } from '../../lib/rpc/service.ts';
import { fromServiceError, toStatus } from '../../lib/rpc/status.ts';
import { Inbox } from './inbox.ts';
import type { Network, Pipe } from './network.ts';
import type { SimProcess } from './process.ts';

export interface SimServer {
  readonly process: SimProcess;
  readonly services: { readonly [S in ServiceName]?: Handlers<S> };
  readonly authorize?: (call: { service: ServiceName; method: string; peer: Peer }) => void;
}

/** Messages one direction holds before the sender must wait. */
const windowSize = 64;
/** Keepalive finds a peer that is gone. */
const deadPeerMs = 15_000;

export type AnyMethod = ReturnType<typeof serviceDefinition>[string];
type Failure = { readonly code: number; readonly details: string; readonly metadata: Metadata };

function failureOf(error: unknown, trailer = new Metadata()): Failure {
  const { code, details = '', metadata = trailer } = toStatus(error, trailer);
  return { code, details, metadata: metadata as Metadata };
}

function thrown(failure: Failure): unknown {
  return fromServiceError(Object.assign(new Error(failure.details), failure) as ServiceError);
}

const unavailable = (why: string): Failure => failureOf(new GantryError('unavailable', why));

export class Call {
  readonly client: SimProcess;
  readonly serverHost: string;
  readonly #method: AnyMethod;
  readonly #onFinish: () => void;
  readonly #up: Pipe;
  readonly #down: Pipe;
  /** Whose call it is: the user's operation that it is part of, and since when. */
  readonly #asCaller = AsyncLocalStorage.snapshot();
  readonly #serverAbort = new AbortController();
  /** Ends the sending of requests. */
  readonly #clientAbort = new AbortController();
  readonly #requests = new Inbox<object>();
  readonly #answers = new Inbox<object>();
  readonly #undo: (() => void)[] = [];
  #server: SimServer | undefined;
  #cancelled = false;

  constructor(network: Network, client: SimProcess, serverHost: string, method: AnyMethod, onFinish: () => void) {
    this.client = client;
    this.#onFinish = onFinish;
    this.serverHost = serverHost;
    this.#method = method;
    this.#up = network.pipe(client.host, serverHost);
    this.#down = network.pipe(serverHost, client.host);
  }

  connect(
    find: () => SimServer | undefined,
    service: ServiceName,
    method: string,
    peer: Peer,
    input: unknown,
    onUnexpected: (error: unknown) => void,
  ): void {
    const { client } = this;
    this.#undo.push(client.onKill(() => this.#soonOrAtKeepalive(this.#up, () => this.#breakServer('the client died'))));
    const kind = methodKind(this.#method);
    const first = kind === 'bidi' ? undefined : this.#method.requestSerialize(input);
    this.#up.send(() => {
      const server = find();
      if (!server?.process.alive) {
        this.#down.send(() => this.#failClient(unavailable('nothing listens there (connection refused)')));
        return;
      }
      this.#server = server;
      const closed = (): void => this.#failClient(unavailable('the connection was closed'));
      this.#undo.push(server.process.onKill(() => this.#soonOrAtKeepalive(this.#down, closed)));
      server.process.post(() => {
        const serve = () => this.#serve(server, service, method, kind, peer, first, onUnexpected);
        void this.#asCaller(serve);
      });
    });
    if (kind === 'bidi') void this.#sendRequests(input as AsyncIterable<object>);
  }

  responses(): AsyncGenerator<object> {
    return this.#answers.read();
  }

  /** The client gives up: told to the server, if the wire allows. */
  cancel(reason: unknown): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#clientAbort.abort(reason);
    this.#answers.fail(reason);
    this.#up.send(() => this.#breakServer('the client went away'));
  }

  breakBoth(why: string): void {
    this.#breakServer(why);
    this.#failClient(unavailable(why));
  }

  #breakServer(why: string): void {
    const abort = (): void => {
      this.#serverAbort.abort(new GantryError('cancelled', why));
      this.#requests.fail(new GantryError('cancelled', why));
    };
    if (this.#server) this.#server.process.post(abort);
    this.#finish();
  }

  #failClient(failure: Failure): void {
    this.client.post(() => {
      this.#cancelled = true;
      this.#answers.fail(thrown(failure));
      this.#clientAbort.abort(new GantryError('cancelled', 'the call has ended'));
    });
    this.#finish();
  }

  #finish(): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.#onFinish();
  }

  /** A dead process' host tells the other side, unless it is dead itself or cut off. */
  #soonOrAtKeepalive(pipe: Pipe, tell: () => void): void {
    pipe.send(tell);
    this.client.world.after(deadPeerMs, tell);
  }

  async #sendRequests(input: AsyncIterable<object>): Promise<void> {
    const iterator = input[Symbol.asyncIterator]();
    const ended = aborted(this.#clientAbort.signal);
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), ended]);
        if (next.done) break;
        const bytes = this.#method.requestSerialize(next.value);
        this.#up.send(() =>
          this.#server?.process.post(() => this.#requests.push(this.#method.requestDeserialize(bytes))),
        );
      }
      this.#up.send(() => this.#server?.process.post(() => this.#requests.end()));
    } catch {
      this.cancel(new GantryError('cancelled', 'the input failed'));
    } finally {
      void iterator.return?.(undefined)?.catch(() => {});
    }
  }

  async #serve(
    server: SimServer,
    service: ServiceName,
    method: string,
    kind: MethodShape['kind'],
    peer: Peer,
    first: Buffer | undefined,
    onUnexpected: (error: unknown) => void,
  ): Promise<void> {
    const trailer = new Metadata();
    const { signal } = this.#serverAbort;
    const context: CallContext = { peer, signal, setTrailer: (key, value) => trailer.set(key, value) };
    const handler = (server.services[service] as Record<string, (input: unknown, context: CallContext) => unknown>)[
      method
    ]!;
    const ended = aborted(signal);
    try {
      server.authorize?.({ service, method, peer });
      const input = first ? this.#method.requestDeserialize(first) : this.#requests.read();
      if (kind === 'unary') {
        const response = await Promise.race([handler(input, context) as Promise<object>, ended]);
        this.#send(server, response);
      } else {
        await this.#sendAll(server, handler(input, context) as AsyncIterable<object>, ended);
      }
      this.#reply(server, () => this.#answers.end());
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof GantryError)) onUnexpected(error);
      const failure = failureOf(error, trailer);
      this.#reply(server, () => this.#failClient(failure));
    } finally {
      this.#serverAbort.abort(new GantryError('cancelled', 'the call has ended'));
      this.#finish();
    }
  }

  async #sendAll(server: SimServer, source: AsyncIterable<object>, ended: Promise<never>): Promise<void> {
    const iterator = source[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), ended]);
        if (next.done) return;
        this.#send(server, next.value);
        if (this.#answers.size >= windowSize)
          await Promise.race([this.#answers.room(windowSize, server.process), ended]);
      }
    } finally {
      void iterator.return?.(undefined)?.catch(() => {});
    }
  }

  #send(server: SimServer, message: object): void {
    const bytes = this.#method.responseSerialize(message);
    this.#answers.coming += 1;
    this.#reply(server, () => this.#answers.push(this.#method.responseDeserialize(bytes)));
  }

  #reply(server: SimServer, take: () => void): void {
    if (server.process.alive) this.#down.send(() => this.client.post(take));
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  promise.catch(() => {});
  return promise;
}
