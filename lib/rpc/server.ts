/**
 * gRPC servers: TLS, the peer's identity, backpressure, error mapping, health and reflection, once for every program.
 * A handler that throws or rejects always answers its client, and never ends the process.
 */
import {
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { systemClock } from '../clock.ts';
import { GantryError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { createHealth } from './health.ts';
import { Inbox } from './inbox.ts';
import { type Peer, peerOf } from './peer.ts';
import { addReflection } from './reflection.ts';
import {
  fullServiceName,
  type MethodShape,
  type Methods,
  methodKind,
  type ServiceName,
  serviceDefinition,
} from './service.ts';
import { toStatus } from './status.ts';
import { drain } from './streams.ts';
import { type ReloadableTls, serverCredentials } from './tls.ts';

export interface CallContext {
  readonly peer: Peer;
  /** Aborted when the client goes away, the deadline passes, or the server stops. */
  readonly signal: AbortSignal;
  setTrailer(key: string, value: string): void;
  /** Ends a stream with an error, also while its client does not read. */
  fail?(error: GantryError): void;
}

type Handler<M> = M extends { kind: infer K; request: infer Request; response: infer Response }
  ? K extends 'unary'
    ? (request: Request, context: CallContext) => Promise<Response>
    : K extends 'serverStream'
      ? (request: Request, context: CallContext) => AsyncIterable<Response>
      : (requests: AsyncIterable<Request>, context: CallContext) => AsyncIterable<Response>
  : never;

export type Handlers<S extends ServiceName> = { readonly [M in keyof Methods<S>]: Handler<Methods<S>[M]> };

export interface ServerOptions {
  /** host:port; port 0 takes a free one. */
  readonly listen: string;
  readonly tls: ReloadableTls;
  /** Mutual TLS; false only for the join port. */
  readonly requireClientCertificate: boolean;
  readonly services: { readonly [S in ServiceName]?: Handlers<S> };
  /** Throws a GantryError (permissionDenied, unauthenticated) to refuse. Health and reflection are always open. */
  readonly authorize?: (call: { service: ServiceName; method: string; peer: Peer }) => void;
  readonly log: Log;
}

export interface RunningServer {
  readonly port: number;
  setServing(serving: boolean): void;
  /** Lets calls finish for `graceMs`, then ends them. */
  stop(graceMs: number): Promise<void>;
}

const largestMessageBytes = 64 * 1024 * 1024;
/** Of somebody who has shown no certificate, and who may be anybody. */
const largestStrangerMessageBytes = 64 * 1024;

const channelOptions = {
  'grpc.enable_channelz': 0, // statistics for nobody, at every message
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
};

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const largest = options.requireClientCertificate ? largestMessageBytes : largestStrangerMessageBytes;
  const server = new Server({ ...channelOptions, 'grpc.max_receive_message_length': largest });
  const calls = new OpenCalls();
  const health = createHealth();
  const names = Object.keys(options.services) as ServiceName[];
  for (const name of names) server.addService(serviceDefinition(name), wrapService(name, options, calls));
  const open = { ...options, services: { Health: health.handlers } };
  delete (open as { authorize?: unknown }).authorize;
  server.addService(serviceDefinition('Health'), wrapService('Health', open, calls));
  addReflection(server, [...names, 'Health' as const].map(fullServiceName));

  const port = await bind(server, options);
  health.setServing(true);
  return {
    port,
    setServing: health.setServing,
    async stop(graceMs) {
      health.setServing(false);
      const graceful = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      calls.end(new GantryError('unavailable', 'the server is stopping'));
      const force = systemClock.schedule(graceMs, () => server.forceShutdown());
      await graceful;
      force.cancel();
    },
  };
}

function bind(server: Server, { listen, tls, requireClientCertificate }: ServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, serverCredentials(tls, requireClientCertificate), (error, port) => {
      if (!error) return resolve(port);
      const taken = /EADDRINUSE|No address added/.test(error.message);
      const reason = taken ? 'the port is already taken, or the address is not one of this machine' : error.message;
      reject(new GantryError('failedPrecondition', `cannot listen on ${listen}: ${reason}`, { cause: error }));
    });
  });
}

type AnyCall =
  | ServerUnaryCall<object, object>
  | ServerWritableStream<object, object>
  | ServerDuplexStream<object, object>;

function wrapService(
  service: ServiceName,
  options: ServerOptions,
  calls: OpenCalls,
): Record<string, UntypedHandleCall> {
  const handlers = options.services[service] as Record<string, Handler<MethodShape>>;
  return Object.fromEntries(
    Object.entries(serviceDefinition(service)).map(([method, definition]) => [
      method,
      wrapMethod(service, method, methodKind(definition), handlers[method]!, options, calls),
    ]),
  );
}

function wrapMethod(
  service: ServiceName,
  method: string,
  kind: MethodShape['kind'],
  handler: unknown,
  { authorize, log }: ServerOptions,
  calls: OpenCalls,
): UntypedHandleCall {
  const begin = (call: AnyCall): { context: CallContext; trailer: Metadata; open: OpenCall } => {
    const open = calls.begin();
    const trailer = new Metadata();
    // Said of every call when its stream is closed, also of one that has been answered.
    (call as ServerWritableStream<object, object>).on('cancelled', () => open.abort('the client went away'));
    const context: CallContext = {
      peer: peerOf(call),
      get signal() {
        return open.signal;
      },
      setTrailer: (key, value) => trailer.set(key, value),
      fail: (error) => open.abort(error),
    };
    return { context, trailer, open };
  };
  const statusOf = (error: unknown, trailer: Metadata, peer: Peer) => {
    if (!(error instanceof GantryError)) {
      const stack = error instanceof Error ? error.stack : undefined;
      log.error({ service, method, peer: peer.commonName, stack }, `unexpected error: ${messageOf(error)}`);
    }
    return toStatus(error, trailer);
  };

  if (kind === 'unary') {
    const unary = handler as (request: object, context: CallContext) => Promise<object>;
    return (async (call: ServerUnaryCall<object, object>, callback: (...args: unknown[]) => void) => {
      const { context, trailer, open } = begin(call);
      try {
        authorize?.({ service, method, peer: context.peer });
        callback(null, await unary(call.request, context), trailer);
      } catch (error) {
        callback(statusOf(error, trailer, context.peer));
      } finally {
        calls.forget(open);
      }
    }) as UntypedHandleCall;
  }
  const stream = handler as (requests: unknown, context: CallContext) => AsyncIterable<object>;
  return async (call: ServerDuplexStream<object, object>) => {
    const { context, trailer, open } = begin(call);
    call.on('error', (error) => open.abort(messageOf(error)));
    try {
      authorize?.({ service, method, peer: context.peer });
      const input =
        kind === 'bidi'
          ? new Inbox(call, context.signal)
          : (call as unknown as ServerWritableStream<object, object>).request;
      await drain(stream(input, context), call, context.signal);
      call.end(trailer);
    } catch (error) {
      if (!call.cancelled) call.emit('error', statusOf(error, trailer, context.peer));
    } finally {
      open.abort('the call has ended');
      calls.forget(open);
    }
  };
}

/** A call that runs. Its signal is made when somebody asks for it, which few do: thousands of calls come and go. */
class OpenCall {
  #controller: AbortController | undefined;
  #reason: unknown;
  #isOver = false;

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** With an error, or with why it was cancelled. */
  abort(reason: unknown): void {
    if (this.#isOver || this.#reason !== undefined) return;
    this.#reason = typeof reason === 'string' ? new GantryError('cancelled', reason) : reason;
    this.#controller?.abort(this.#reason);
  }

  /** It has ended: what happens to its connection is nothing to it any more. */
  over(): void {
    this.#isOver = true;
  }
}

/** What runs at this moment: all of it ends with the server. (A composite signal for each call costs far more.) */
class OpenCalls {
  readonly #open = new Set<OpenCall>();
  #ended: GantryError | undefined;

  begin(): OpenCall {
    const call = new OpenCall();
    if (this.#ended) call.abort(this.#ended);
    else this.#open.add(call);
    return call;
  }

  forget(call: OpenCall): void {
    call.over();
    this.#open.delete(call);
  }

  end(reason: GantryError): void {
    this.#ended = reason;
    for (const call of this.#open) call.abort(reason);
    this.#open.clear();
  }
}
