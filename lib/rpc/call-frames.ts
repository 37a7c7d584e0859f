/**
 * What the thread with the connections (connections-thread.ts) and the one that answers (threaded-server.ts) tell each
 * other. Messages cross as they are on the wire. Of a stream each side has at most a window of bytes under way that the
 * other one has not taken yet, so a client that does not read, or a thread that stands still, fills no memory.
 */
import type { Metadata } from '@grpc/grpc-js';
import type { GantryError } from '../errors.ts';
import type { TlsMaterial } from './tls.ts';

/** Bytes of one stream, in one direction. */
export const windowBytes = 256 * 1024;
/** Taken bytes are told of when they are so many: most streams never have to. */
const worthTelling = windowBytes / 4;

/** Metadata as HTTP/2 headers, which can be cloned. */
export type Headers = ReturnType<Metadata['toHttp2Headers']>;

/** A call begins: the method (index in `methods`), and who calls. */
export type Beginning = readonly [method: number, commonName: string, organization: string, address: string];

/** From the connections. */
export interface FromConnections {
  /** Everything is ready: the port. */
  listening: number;
  /** It cannot listen. */
  refused: { readonly code: GantryError['code']; readonly message: string };
  /** With the request, unless its client streams. */
  begin: Beginning;
  /** A message of a client that streams. */
  message: undefined;
  /** The client sends no more. */
  end: undefined;
  /** The client is gone, or the deadline has passed. */
  cancelled: undefined;
  /** So many bytes of the stream's messages are on their way to the client. */
  taken: number;
  /** All frames before this one are of what had reached the sockets before the question with this number was asked. */
  drained: number;
  stopped: undefined;
}

/** To the connections. */
export interface ToConnections {
  /** The answer of a unary call, with its trailer. */
  answer: Headers | undefined;
  /** A message of a stream. */
  message: undefined;
  /** The stream ends well, with its trailer. */
  end: Headers | undefined;
  /** A call ends with an error. */
  fail: { readonly code: number; readonly details: string; readonly headers: Headers | undefined };
  /** So many bytes of the client's messages have found their reader. */
  taken: number;
  /** A question, by number: `drained` answers it. */
  drain: number;
  /** For every later handshake. */
  tls: TlsMaterial;
  /** Milliseconds that running calls may take. */
  stop: number;
}

export interface ConnectionsData {
  readonly listen: string;
  readonly material: TlsMaterial;
  readonly requireClientCertificate: boolean;
  readonly methods: readonly {
    readonly path: string;
    readonly requestStream: boolean;
    readonly responseStream: boolean;
  }[];
  readonly described: readonly string[];
}

/** What one side has taken of a stream and not told yet. */
export class Taken {
  #bytes = 0;
  readonly #tell: (bytes: number) => void;

  constructor(tell: (bytes: number) => void) {
    this.#tell = tell;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < worthTelling) return;
    this.#tell(this.#bytes);
    this.#bytes = 0;
  }
}
