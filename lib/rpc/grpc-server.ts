/** grpc-js's server, as all of ours are set up. It knows no schema: also the thread that has only connections uses it. */
import { Server, type ServiceDefinition, type UntypedHandleCall } from '@grpc/grpc-js';
import { systemClock } from '../clock.ts';
import { GantryError } from '../errors.ts';
import { addReflection } from './reflection.ts';
import { type ReloadableTls, serverCredentials } from './tls.ts';

const channelOptions = {
  'grpc.enable_channelz': 0, // statistics for nobody, at every message
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
};

const largestMessageBytes = 64 * 1024 * 1024;
/** Of somebody who has shown no certificate, and who may be anybody. */
const largestStrangerMessageBytes = 64 * 1024;

function largestRequestBytes(requireClientCertificate: boolean): number {
  return requireClientCertificate ? largestMessageBytes : largestStrangerMessageBytes;
}

export function createServer(requireClientCertificate: boolean, described: readonly string[]): Server {
  const server = new Server({
    ...channelOptions,
    'grpc.max_receive_message_length': largestRequestBytes(requireClientCertificate),
  });
  addReflection(server, described);
  return server;
}

/** A service of one method, for `addService`. */
export function single(
  definition: ServiceDefinition[string],
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
