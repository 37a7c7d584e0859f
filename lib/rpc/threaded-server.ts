/**
 * A gRPC server whose connections have a thread of their own (connections-thread.ts). For a process with a large heap:
 * what calls leave behind is collected over there, where the heap is small, and no connection waits for this thread's
 * collections and long computations to be kept alive.
 */
import { Worker } from 'node:worker_threads';
import { type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { GantryError, messageOf } from '../errors.ts';
import type { Beginning, ConnectionsData, FromConnections, Headers, ToConnections } from './call-frames.ts';
import type { Peer } from './peer.ts';
import { type IncomingUnary, serveStream, serveUnary } from './serve-call.ts';
import { type DefinedMethod, type RunningServer, type Served, type ServerOptions, servedBy } from './server-options.ts';
import { ThreadPort } from './thread-port.ts';
import { notDecoded, ThreadedStream } from './threaded-stream.ts';
import { turnsOver } from './turns-over.ts';

type Port = ThreadPort<ToConnections, FromConnections>;

/** As `startServer`. An unexpected end of the thread ends the process: nobody could call it any more. */
export async function startThreadedServer(options: ServerOptions): Promise<RunningServer> {
  const served = servedBy(options);
  const { calls, health } = served;
  const worker = new Worker(new URL('connections-thread.ts', import.meta.url), { workerData: dataOf(options, served) });
  const listening = Promise.withResolvers<number>();
  const stopped = Promise.withResolvers<void>();
  worker.on('error', (error) => {
    throw new Error(`the thread with the connections has failed: ${messageOf(error)}`, { cause: error });
  });
  const questions = new Questions();
  const running = new RunningCalls(served.methods, worker, (kind, value) => {
    if (kind === 'listening') listening.resolve(value as number);
    else if (kind === 'drained') questions.answer(value as number);
    else if (kind === 'stopped') stopped.resolve();
    else {
      const { code, message } = value as FromConnections['refused'];
      listening.reject(new GantryError(code, message));
    }
  });
  const forget = options.tls.onReplace((material) => running.port.send('tls', 0, material));
  const port = await listening.promise.catch(async (error: unknown) => {
    forget();
    await worker.terminate();
    throw error;
  });
  health.setServing(true);
  return {
    port,
    setServing: health.setServing,
    async drained() {
      await questions.ask((question) => running.port.send('drain', 0, question));
      await turnsOver(); // handlers take what they were given one after the other
    },
    async stop(graceMs) {
      health.setServing(false);
      running.port.send('stop', 0, graceMs);
      calls.end(new GantryError('unavailable', 'the server is stopping'));
      await stopped.promise;
      forget();
      await worker.terminate();
    },
  };
}

function dataOf({ listen, tls, requireClientCertificate }: ServerOptions, served: Served): ConnectionsData {
  const { described } = served;
  const methods = served.methods.map(({ definition: { path, requestStream, responseStream } }) => {
    return { path, requestStream, responseStream };
  });
  return { listen, material: tls.material, requireClientCertificate, methods, described };
}

class Questions {
  readonly #waiting = new Map<number, () => void>();
  #newest = 0;

  ask(send: (question: number) => void): Promise<void> {
    const question = ++this.#newest;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(question, resolve);
    send(question);
    return promise;
  }

  answer(question: number): void {
    this.#waiting.get(question)?.();
    this.#waiting.delete(question);
  }
}

const ofServer = ['listening', 'refused', 'drained', 'stopped'] as const;
type OfServer = (typeof ofServer)[number];
const isOfServer = (kind: keyof FromConnections): kind is OfServer => ofServer.includes(kind as OfServer);

/** The calls of all connections that are not answered yet. */
class RunningCalls {
  readonly port: Port;
  readonly #methods: readonly DefinedMethod[];
  readonly #calls = new Map<number, UnaryCall | ThreadedStream>();

  constructor(
    methods: readonly DefinedMethod[],
    worker: Worker,
    tell: <Kind extends OfServer>(kind: Kind, value: FromConnections[Kind]) => void,
  ) {
    this.#methods = methods;
    this.port = new ThreadPort(worker, (kind, id, value, bytes) => {
      if (kind === 'begin') return this.#begin(id, value as Beginning, bytes);
      if (isOfServer(kind)) return tell(kind, value as never);
      const call = this.#calls.get(id);
      if (!call) return;
      if (kind === 'cancelled') {
        this.#calls.delete(id);
        call.cancel();
      } else if (call instanceof ThreadedStream) {
        if (kind === 'message') call.receive(bytes!);
        else if (kind === 'end') call.receiveEnd();
        else call.taken(value as number);
      }
    });
  }

  #begin(id: number, [index, commonName, organization, address]: Beginning, bytes: Buffer | undefined): void {
    const method = this.#methods[index]!;
    const { definition } = method;
    const peer: Peer = { commonName, organization, address };
    const fail = (error: Partial<StatusObject>): void => this.#fail(id, error);
    let request: object | undefined;
    try {
      request = bytes && definition.requestDeserialize(bytes);
    } catch (error) {
      fail(notDecoded(error));
      return;
    }
    if (method.kind === 'unary') {
      const call = new UnaryCall(request!);
      this.#calls.set(id, call);
      void serveUnary(method, call, peer, (error, message, trailer) => {
        if (error) fail(error);
        else this.#end(id, 'answer', trailer, definition.responseSerialize(message!));
      });
      return;
    }
    const end = (trailer: Metadata): void => this.#end(id, 'end', trailer);
    const call = new ThreadedStream(id, definition, request, { port: this.port, end, fail });
    this.#calls.set(id, call);
    void serveStream(method, call, peer);
  }

  #end(id: number, kind: 'answer' | 'end', trailer: Metadata | undefined, bytes?: Buffer): void {
    if (this.#calls.delete(id)) this.port.send(kind, id, headersOf(trailer), bytes);
  }

  #fail(id: number, { code = status.UNKNOWN, details = '', metadata }: Partial<StatusObject>): void {
    this.#calls.delete(id);
    this.port.send('fail', id, { code, details, headers: headersOf(metadata) });
  }
}

class UnaryCall implements IncomingUnary {
  readonly request: object;
  #onCancelled: () => void = () => {};

  constructor(request: object) {
    this.request = request;
  }

  on(_event: 'cancelled', listener: () => void): void {
    this.#onCancelled = listener;
  }

  cancel(): void {
    this.#onCancelled();
  }
}

function headersOf(metadata: Metadata | undefined): Headers | undefined {
  const headers = metadata?.toHttp2Headers();
  return headers && Object.keys(headers).length > 0 ? headers : undefined;
}
