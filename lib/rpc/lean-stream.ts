/**
 * A bidirectional gRPC stream without a gRPC library, for a thread that does little else and should weigh little: messages as
 * bytes, over Node's own HTTP/2. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { TlsMaterial } from './tls.ts';

export interface LeanStream {
  /** Dropped when the stream is over. */
  send(message: Uint8Array): void;
  close(): void;
}

export interface LeanStreamOptions {
  /** host:port */
  readonly address: string;
  /** DNS name to expect in the server's certificate. */
  readonly serverName: string;
  readonly tls: TlsMaterial;
  /** `/gantry.v1.NodeSession/Heartbeats` */
  readonly path: string;
  readonly onMessage: (message: Buffer) => void;
  /** Once, however it ends; `close` does not call it. */
  readonly onEnd: (reason: string) => void;
}

const prefixBytes = 5;

export function openLeanStream(options: LeanStreamOptions): LeanStream {
  const { address, serverName, tls, path, onMessage, onEnd } = options;
  const { caPem: ca, certPem: cert, keyPem: key } = tls;
  let over = false;
  const session = connect(`https://${address}`, { ca, cert, key, servername: serverName });
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request(headers, { endStream: false });
  const end = (reason: string): void => {
    if (over) return;
    over = true;
    dispose(session, stream);
    onEnd(reason);
  };
  session.on('error', (error) => end(error.message));
  session.on('close', () => end('the connection was closed'));
  stream.on('error', (error) => end(error.message));
  stream.on('trailers', (trailers) => end(`${trailers['grpc-message'] ?? `gRPC status ${trailers['grpc-status']}`}`));
  stream.on('end', () => end('the stream was ended'));
  let rest: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (!over && rest.length >= prefixBytes && rest.length >= prefixBytes + rest.readUInt32BE(1)) {
      const endOfMessage = prefixBytes + rest.readUInt32BE(1);
      onMessage(rest.subarray(prefixBytes, endOfMessage));
      rest = rest.subarray(endOfMessage);
    }
  });
  return {
    send(message) {
      if (over) return;
      const prefix = Buffer.alloc(prefixBytes);
      prefix.writeUInt32BE(message.length, 1);
      stream.write(Buffer.concat([prefix, message]));
    },
    close() {
      over = true;
      dispose(session, stream);
    },
  };
}

function dispose(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
  stream.close();
  session.destroy();
}
