/**
 * What a server does with one call, whatever brings it: who may call, the handler, its errors, its end.
 * A handler that throws or rejects always answers its client, and never ends the process.
 */
import type { EventEmitter } from 'node:events';
import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { GantryError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { Inbox } from './inbox.ts';
import type { Peer } from './peer.ts';
import type { MethodShape, Methods, ServiceName } from './service.ts';
import { toStatus } from './status.ts';
import { drain } from './streams.ts';

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

export type Authorize = (call: { service: ServiceName; method: string; peer: Peer }) => void;
type Status = Partial<StatusObject> & { code: number };

export interface ServedMethod {
  readonly service: ServiceName;
  readonly method: string;
  readonly kind: MethodShape['kind'];
  readonly handler: Handler<MethodShape>;
  readonly authorize: Authorize | undefined;
  readonly calls: OpenCalls;
  readonly log: Log;
}

/** `cancelled` is said when the client went away or the deadline has passed, and may be said of a call that has been answered. */
export interface IncomingUnary {
  readonly request: object;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** As grpc-js's streams: `data`, `end`, `close`, `error`, `drain`, `cancelled`; emitting an error answers with it. */
export interface IncomingStream extends EventEmitter {
  /** Of a call whose client sends one message only. */
  readonly request?: object;
  readonly cancelled: boolean;
  /** False: wait for `drain`. */
  write(message: object): boolean;
  end(trailer: Metadata): void;
  pause(): unknown;
  resume(): unknown;
}

interface Begun {
  readonly context: CallContext;
  readonly trailer: Metadata;
  readonly open: OpenCall;
}

function begin(call: IncomingUnary | IncomingStream, peer: Peer, calls: OpenCalls): Begun {
  const open = calls.begin();
  const trailer = new Metadata();
  (call as IncomingUnary).on('cancelled', () => open.abort('the client went away'));
  const context: CallContext = {
    peer,
    get signal() {
      return open.signal;
    },
    setTrailer: (key, value) => trailer.set(key, value),
    fail: (error) => open.abort(error),
  };
  return { context, trailer, open };
}

function statusOf(error: unknown, { service, method, log }: ServedMethod, { context, trailer }: Begun): Status {
  if (!(error instanceof GantryError)) {
    const stack = error instanceof Error ? error.stack : undefined;
    log.error({ service, method, peer: context.peer.commonName, stack }, `unexpected error: ${messageOf(error)}`);
  }
  return toStatus(error, trailer);
}

/** Answers with a message and a trailer, or with an error. */
export async function serveUnary(
  served: ServedMethod,
  call: IncomingUnary,
  peer: Peer,
  answer: (error: Status | null, message?: object, trailer?: Metadata) => void,
): Promise<void> {
  const { service, method, authorize, calls } = served;
  const begun = begin(call, peer, calls);
  const handler = served.handler as (request: object, context: CallContext) => Promise<object>;
  try {
    authorize?.({ service, method, peer });
    answer(null, await handler(call.request, begun.context), begun.trailer);
  } catch (error) {
    answer(statusOf(error, served, begun));
  } finally {
    calls.forget(begun.open);
  }
}

export async function serveStream(served: ServedMethod, call: IncomingStream, peer: Peer): Promise<void> {
  const { service, method, kind, authorize, calls } = served;
  const begun = begin(call, peer, calls);
  const { context, open } = begun;
  const handler = served.handler as (requests: unknown, context: CallContext) => AsyncIterable<object>;
  call.on('error', (error) => open.abort(messageOf(error)));
  try {
    authorize?.({ service, method, peer });
    const input = kind === 'bidi' ? new Inbox(call, context.signal) : call.request;
    await drain(handler(input, context), call, context.signal);
    call.end(begun.trailer);
  } catch (error) {
    if (!call.cancelled) call.emit('error', statusOf(error, served, begun));
  } finally {
    open.abort('the call has ended');
    calls.forget(open);
  }
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
export class OpenCalls {
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
