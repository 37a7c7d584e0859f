/** gRPC servers whose connections are in this thread: TLS, the peer's identity, health and reflection, for every program. */
import type { ServerDuplexStream, ServerUnaryCall, UntypedHandleCall } from '@grpc/grpc-js';
import { GantryError } from '../errors.ts';
import { bind, createServer, shutDown, single } from './grpc-server.ts';
import { peerOf } from './peer.ts';
import { type IncomingStream, serveStream, serveUnary } from './serve-call.ts';
import { type DefinedMethod, type RunningServer, type ServerOptions, servedBy } from './server-options.ts';
import { turnsOver } from './turns-over.ts';

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { methods, described, calls, health } = servedBy(options);
  const server = createServer(options.requireClientCertificate, described);
  for (const method of methods) server.addService(...single(method.definition, handlerOf(method)));
  const port = await bind(server, options);
  health.setServing(true);
  return {
    port,
    setServing: health.setServing,
    drained: turnsOver,
    async stop(graceMs) {
      health.setServing(false);
      const ended = shutDown(server, graceMs);
      calls.end(new GantryError('unavailable', 'the server is stopping'));
      await ended;
    },
  };
}

function handlerOf(method: DefinedMethod): UntypedHandleCall {
  if (method.kind === 'unary') {
    return ((call: ServerUnaryCall<object, object>, answer: (...args: unknown[]) => void) =>
      void serveUnary(method, call, peerOf(call), answer)) as UntypedHandleCall;
  }
  return (call: ServerDuplexStream<object, object>) =>
    void serveStream(method, call as unknown as IncomingStream, peerOf(call));
}
