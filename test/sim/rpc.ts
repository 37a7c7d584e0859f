/**
 * lib/rpc without sockets: the same handlers, the same messages through the same codec, the same errors. A call is a
 * connection of its own with a pipe each way; it breaks when a process dies, when keepalive gives up, or by chance.
 */
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { GantryError } from '../../lib/errors.ts';
import type { CallContext, Handlers, Peer } from '../../lib/rpc/server.ts';
import {
  type MethodShape,
  type Methods,
  methodKind,
  type ServiceName,
  serviceDefinition,
} from '../../lib/rpc/service.ts';
import { fromServiceError, toStatus } from '../../lib/rpc/status.ts';
import type { Network, Pipe } from './network.ts';
import type { SimProcess } from './process.ts';
import { servedOperation } from './store.ts';

export interface SimServer {
  readonly process: SimProcess;
  readonly services: { readonly [S in ServiceName]?: Handlers<S> };
  readonly authorize?: (call: { service: ServiceName; method: string; peer: Peer }) => void;
}

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** Messages one direction holds before the sender must wait. */
const windowSize = 64;
const defaultDeadlineMs = 10_000;
/** Keepalive finds a peer that is gone. */
const deadPeerMs = 15_000;

type AnyMethod = ReturnType<typeof serviceDefinition>[string];
type Failure = { readonly code: number; readonly details: string; readonly metadata: Metadata };

const definitions = new Map<ServiceName, ReturnType<typeof serviceDefinition>>();
function methodOf(service: ServiceName, method: string): AnyMethod {
  let definition = definitions.get(service);
  if (!definition) {
    definition = serviceDefinition(service);
    definitions.set(service, definition);
  }
  return definition[method]!;
}

function failureOf(error: unknown, trailer = new Metadata()): Failure {
  const { code, details = '', metadata = trailer } = toStatus(error, trailer);
  return { code, details, metadata: metadata as Metadata };
}

function thrown(failure: Failure): unknown {
  return fromServiceError(Object.assign(new Error(failure.details), failure) as ServiceError);
}

const unavailable = (why: string): Failure => failureOf(new GantryError('unavailable', why));

export class Rpc {
  readonly network: Network;
  readonly #servers = new Map<string, SimServer>();
  readonly #calls = new Set<Call>();
  /** What no GantryError explains: a handler's bug. */
  readonly #onUnexpected: (error: unknown) => void;

  constructor(network: Network, onUnexpected: (error: unknown) => void) {
    this.network = network;
    this.#onUnexpected = onUnexpected;
    network.onSilence((a, b) => {
      for (const call of [...this.#calls]) {
        const hosts = [call.client.host, call.serverHost];
        if (hosts.includes(a) && hosts.includes(b)) call.breakBoth('keepalive: the other side is silent');
      }
    });
  }

  serve(address: string, server: SimServer): void {
    this.#servers.set(address, server);
    server.process.onKill(() => {
      if (this.#servers.get(address) === server) this.#servers.delete(address);
    });
  }

  server(address: string): SimServer | undefined {
    return this.#servers.get(address);
  }

  /** A connection picked by chance is reset. */
  resetOne(choose: <T>(items: readonly T[]) => T): void {
    const calls = [...this.#calls];
    if (calls.length > 0) choose(calls).breakBoth('connection reset');
  }

  async unary<S extends ServiceName, M extends keyof Methods<S> & string>(
    client: SimProcess,
    peer: Peer,
    address: string,
    service: S,
    method: M,
    request: object,
    options: CallOptions = {},
  ): Promise<Methods<S>[M] extends { response: infer Response } ? Response : never> {
    const stop = new AbortController();
    const timer = client.clock.schedule(options.deadlineMs ?? defaultDeadlineMs, () =>
      stop.abort(new GantryError('deadlineExceeded', `${method} was not answered in time`)),
    );
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    try {
      for await (const response of this.stream(client, peer, address, service, method, request, { signal })) {
        return response as never;
      }
      throw new GantryError('internal', 'the call ended without an answer');
    } finally {
      timer.cancel();
    }
  }

  async *stream(
    client: SimProcess,
    peer: Peer,
    address: string,
    service: ServiceName,
    method: string,
    input: unknown,
    { signal }: CallOptions,
  ): AsyncGenerator<object> {
    signal?.throwIfAborted();
    const call = new Call(this.network, client, address.split(':')[0]!, methodOf(service, method), () =>
      this.#calls.delete(call),
    );
    this.#calls.add(call);
    const cancel = (): void => call.cancel(signal?.reason);
    signal?.addEventListener('abort', cancel, { once: true });
    call.connect(() => this.#servers.get(address), service, method, peer, input, this.#onUnexpected);
    try {
      yield* call.responses();
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel(new GantryError('cancelled', 'the client has left the call'));
    }
  }
}

class Call {
  readonly client: SimProcess;
  readonly serverHost: string;
  readonly #method: AnyMethod;
  readonly #onFinish: () => void;
  readonly #up: Pipe;
  readonly #down: Pipe;
  /** The user's operation that this call is part of. */
  readonly #operation = servedOperation.getStore();
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
        void (this.#operation === undefined ? serve() : servedOperation.run(this.#operation, serve));
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

/** What has arrived and is not read yet. */
class Inbox<T> {
  coming = 0;
  readonly #items: T[] = [];
  #ended: { readonly error?: unknown } | undefined;
  #wake: () => void = () => {};
  #roomWanted: (() => void)[] = [];

  get size(): number {
    return this.#items.length + this.coming;
  }

  push(item: T): void {
    if (this.coming > 0) this.coming -= 1;
    if (this.#ended) return;
    this.#items.push(item);
    this.#wake();
  }

  end(): void {
    this.#ended ??= {};
    this.#wake();
  }

  fail(error: unknown): void {
    if (this.#ended && !('error' in this.#ended)) return;
    this.#ended ??= { error };
    this.#wake();
  }

  room(limit: number, sender: SimProcess): Promise<void> {
    if (this.size < limit) return Promise.resolve();
    return new Promise((resolve) => this.#roomWanted.push(() => sender.post(resolve)));
  }

  async *read(): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        for (const resolve of this.#roomWanted.splice(0)) resolve();
        yield item;
      } else if (this.#ended) {
        if ('error' in this.#ended) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
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
