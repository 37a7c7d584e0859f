/** gRPC servers whose connections are in this thread: TLS, the peer's identity, health and reflection, for every program. */
import {
  Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { systemClock } from '../clock.ts';
import { GantryError } from '../errors.ts';
import { peerOf } from './peer.ts';
import { addReflection } from './reflection.ts';
import { type IncomingStream, serveStream, serveUnary } from './serve-call.ts';
import {
  type DefinedMethod,
  largestRequestBytes,
  type RunningServer,
  type ServerOptions,
  servedBy,
} from './server-options.ts';
import { type ReloadableTls, serverCredentials } from './tls.ts';

const channelOptions = {
  'grpc.enable_channelz': 0, // statistics for nobody, at every message
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
};

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { methods, described, calls, health } = servedBy(options);
  const server = createServer(largestRequestBytes(options.requireClientCertificate), described);
  for (const method of methods) server.addService(...single(method.definition, handlerOf(method)));
  const port = await bind(server, options);
  health.setServing(true);
  return {
    port,
    setServing: health.setServing,
    async stop(graceMs) {
      health.setServing(false);
      const ended = shutDown(server, graceMs);
      calls.end(new GantryError('unavailable', 'the server is stopping'));
      await ended;
    },
  };
}

export function createServer(largestBytes: number, described: readonly string[]): Server {
  const server = new Server({ ...channelOptions, 'grpc.max_receive_message_length': largestBytes });
  addReflection(server, described);
  return server;
}

/** A service of one method, for `addService`. */
export function single(
  definition: DefinedMethod['definition'] | ServiceDefinition[string],
  handler: UntypedHandleCall,
): [ServiceDefinition, Record<string, UntypedHandleCall>] {
  return [{ [definition.path]: definition }, { [definition.path]: handler }];
}

export function bind(
  server: Server,
  { listen, tls, requireClientCertificate }: { listen: string; tls: ReloadableTls; requireClientCertificate: boolean },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, serverCredentials(tls, requireClientCertificate), (error, port) => {
      if (!error) return resolve(port);
      const taken = /EADDRINUSE|No address added/.test(error.message);
      const reason = taken ? 'the port is already taken, or the address is not one of this machine' : error.message;
      reject(new GantryError('failedPrecondition', `cannot listen on ${listen}: ${reason}`, { cause: error }));
    });
  });
}

/** Takes no new calls; those that run may go on for `graceMs`. */
export async function shutDown(server: Server, graceMs: number): Promise<void> {
  const graceful = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const force = systemClock.schedule(graceMs, () => server.forceShutdown());
  await graceful;
  force.cancel();
}

function handlerOf(method: DefinedMethod): UntypedHandleCall {
  if (method.kind === 'unary') {
    return ((call: ServerUnaryCall<object, object>, answer: (...args: unknown[]) => void) =>
      void serveUnary(method, call, peerOf(call), answer)) as UntypedHandleCall;
  }
  return (call: ServerDuplexStream<object, object>) =>
    void serveStream(method, call as unknown as IncomingStream, peerOf(call));
}
