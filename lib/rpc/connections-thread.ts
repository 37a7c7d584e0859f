/**
 * The thread with a server's connections: sockets, TLS, HTTP/2, gRPC's framing and deadlines. It knows no schema; messages
 * go to the thread that answers as they came (call-frames.ts). It has no state that outlives a connection.
 */
import type { IncomingHttpHeaders } from 'node:http2';
import { parentPort, workerData } from 'node:worker_threads';
import {
  Metadata,
  type MethodDefinition,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type StatusObject,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { isGantryError, messageOf } from '../errors.ts';
import {
  type Beginning,
  type ConnectionsData,
  type FromConnections,
  type Headers,
  Taken,
  type ToConnections,
  windowBytes,
} from './call-frames.ts';
import { releaseClosedStreams } from './closed-streams.ts';
import { bind, createServer, shutDown, single } from './grpc-server.ts';
import { peerOf } from './peer.ts';
import { ThreadPort } from './thread-port.ts';
import { ReloadableTls } from './tls.ts';
import { turnsOver } from './turns-over.ts';

/** What a call is told by the other thread. */
interface OpenCall {
  answer?(bytes: Buffer, trailer: Metadata): void;
  message?(bytes: Buffer): void;
  end?(trailer: Metadata): void;
  taken?(bytes: number): void;
  fail(status: Partial<StatusObject>): void;
}

type Answer = (error: Partial<StatusObject> | null, bytes?: Buffer, trailer?: Metadata) => void;

class Connections {
  readonly #port: ThreadPort<FromConnections, ToConnections>;
  readonly #tls: ReloadableTls;
  readonly #calls = new Map<number, OpenCall>();
  readonly #server: ReturnType<typeof createServer>;
  #newest = 0;

  constructor({ material, requireClientCertificate, methods, described }: ConnectionsData) {
    this.#tls = new ReloadableTls(material);
    this.#server = createServer(requireClientCertificate, described);
    for (const [index, method] of methods.entries()) {
      const isUnary = !method.requestStream && !method.responseStream;
      const handler = isUnary ? this.#unary(index) : this.#stream(index, method.requestStream);
      this.#server.addService(...single(rawDefinition(method), handler));
    }
    this.#port = new ThreadPort(parentPort!, (kind, call, value, bytes) => {
      const open = this.#calls.get(call);
      if (kind === 'message') open?.message?.(bytes!);
      else if (kind === 'taken') open?.taken?.(value as number);
      else if (kind === 'drain') void this.#drain(value as number);
      else if (kind === 'tls') this.#tls.replace(value as ToConnections['tls']);
      else if (kind === 'stop') void this.#stop(value as number);
      else this.#finish(call, open, kind, value, bytes);
    });
  }

  async listen({ listen, requireClientCertificate }: ConnectionsData): Promise<void> {
    try {
      const port = await bind(this.#server, { listen, tls: this.#tls, requireClientCertificate });
      this.#port.send('listening', 0, port);
    } catch (error) {
      this.#port.send('refused', 0, {
        code: isGantryError(error) ? error.code : 'internal',
        message: messageOf(error),
      });
    }
  }

  async #drain(question: number): Promise<void> {
    await turnsOver();
    this.#port.send('drained', 0, question);
  }

  async #stop(graceMs: number): Promise<void> {
    await shutDown(this.#server, graceMs);
    this.#port.send('stopped', 0, undefined);
  }

  #finish(call: number, open: OpenCall | undefined, kind: keyof ToConnections, value: unknown, bytes?: Buffer): void {
    this.#calls.delete(call);
    if (kind === 'answer') open?.answer?.(bytes!, metadataOf(value as Headers | undefined));
    else if (kind === 'end') open?.end?.(metadataOf(value as Headers | undefined));
    else {
      const { headers, ...status } = value as ToConnections['fail'];
      open?.fail({ ...status, metadata: metadataOf(headers) });
    }
  }

  #begin(method: number, call: ServerUnaryCall<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>): number {
    const id = ++this.#newest;
    const { commonName, organization, address } = peerOf(call);
    const beginning: Beginning = [method, commonName, organization, address];
    this.#port.send('begin', id, beginning, (call as { request?: Buffer }).request);
    (call as ServerDuplexStream<Buffer, Buffer>).on('cancelled', () => {
      // Said of every call when its stream is closed, also of one that has been answered.
      if (this.#calls.delete(id)) this.#port.send('cancelled', id, undefined);
    });
    return id;
  }

  #unary(method: number): UntypedHandleCall {
    return ((call: ServerUnaryCall<Buffer, Buffer>, answer: Answer) => {
      this.#calls.set(this.#begin(method, call), {
        answer: (bytes, trailer) => answer(null, bytes, trailer),
        fail: answer,
      });
    }) as UntypedHandleCall;
  }

  #stream(method: number, requestStream: boolean): UntypedHandleCall {
    return (call: ServerDuplexStream<Buffer, Buffer>) => {
      const id = this.#begin(method, call);
      const taken = new Taken((bytes) => this.#port.send('taken', id, bytes));
      let untold = 0;
      const open: OpenCall = {
        message(bytes) {
          const isFull = !call.write(bytes);
          if (!isFull && untold === 0) return taken.add(bytes.length);
          if (untold === 0) {
            call.once('drain', () => {
              taken.add(untold);
              untold = 0;
            });
          }
          untold += bytes.length;
        },
        end: (trailer) => void call.end(trailer),
        fail: (status) => void call.emit('error', status),
      };
      if (requestStream) open.taken = this.#readFrom(call, id);
      this.#calls.set(id, open);
    };
  }

  /** Hands on what the client sends, as far as the other side takes it. */
  #readFrom(call: ServerDuplexStream<Buffer, Buffer>, id: number): (bytes: number) => void {
    let underWay = 0;
    call.on('data', (bytes: Buffer) => {
      this.#port.send('message', id, undefined, bytes);
      underWay += bytes.length;
      if (underWay >= windowBytes) call.pause();
    });
    call.on('end', () => this.#port.send('end', id, undefined));
    return (bytes) => {
      underWay -= bytes;
      if (underWay < windowBytes && call.isPaused()) call.resume();
    };
  }
}

function rawDefinition(method: ConnectionsData['methods'][number]): MethodDefinition<Buffer, Buffer> {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    ...method,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function metadataOf(headers: Headers | undefined): Metadata {
  return headers ? Metadata.fromHttp2Headers(headers as IncomingHttpHeaders) : new Metadata();
}

if (parentPort) {
  releaseClosedStreams();
  const data = workerData as ConnectionsData;
  await new Connections(data).listen(data);
}
