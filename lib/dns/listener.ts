/** The sockets of a DNS server: UDP and TCP on one address. Whatever comes in, nothing here ends the process. */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { GantryError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { framed } from './exchange.ts';
import type { Reaction, Responder } from './respond.ts';

export interface DnsListener {
  readonly address: string;
  readonly port: number;
  stop(): Promise<void>;
}

export interface ListenOptions {
  readonly address: string;
  /** 0: any free one, the same for both transports. */
  readonly port: number;
  readonly responder: Responder;
  readonly log: Log;
}

/** Answers being waited for; further ones are dropped, and clients ask again. */
const mostPending = 1024;
const mostConnections = 128;
const mostPendingPerConnection = 16;
const idleMs = 10_000;

export async function listenDns({ address, port, responder, log }: ListenOptions): Promise<DnsListener> {
  const tcp = await listenTcp(address, port, responder, log);
  try {
    const udp = await listenUdp(address, tcp.port, responder, log);
    return {
      address,
      port: tcp.port,
      async stop() {
        await Promise.all([udp.stop(), tcp.stop()]);
      },
    };
  } catch (error) {
    await tcp.stop();
    throw error;
  }
}

function cannotListen(transport: string, address: string, port: number, error: Error): GantryError {
  return new GantryError(
    'failedPrecondition',
    `DNS cannot listen on ${address}:${port}/${transport}: ${error.message}; see "ss -lnp" for who has the port`,
    { cause: error },
  );
}

async function listenUdp(
  address: string,
  port: number,
  responder: Responder,
  log: Log,
): Promise<{ stop(): Promise<void> }> {
  // Addresses are numbers already: no look-up for each answer.
  const lookup = (
    host: string,
    _options: unknown,
    done: (error: null, address: string, family: number) => void,
  ): void => done(null, host, host.includes(':') ? 6 : 4);
  const socket = createSocket({
    type: address.includes(':') ? 'udp6' : 'udp4',
    lookup: lookup as never,
    recvBufferSize: 1 << 20,
  });
  let pending = 0;
  let open = true;
  const send = (answer: Reaction, to: { port: number; address: string }): void => {
    if (answer && open) socket.send(answer, to.port, to.address, ignoreSendError);
  };
  await new Promise<void>((resolve, reject) => {
    const refused = (error: Error): void => reject(cannotListen('udp', address, port, error));
    socket.once('error', refused);
    socket.bind(port, address, () => {
      socket.off('error', refused);
      resolve();
    });
  });
  socket.on('error', (error) => log.warn({ error: messageOf(error) }, 'DNS socket'));
  socket.on('message', (packet, from) => {
    const reaction = responder.respond(packet, 'udp', from.address);
    if (!(reaction instanceof Promise)) return send(reaction, from);
    if (pending >= mostPending) return void reaction.catch(() => {});
    pending += 1;
    reaction
      .then((answer) => send(answer, from))
      .catch((error) => log.error({ error: messageOf(error) }, 'a DNS query could not be answered'))
      .finally(() => {
        pending -= 1;
      });
  });
  return {
    stop: () =>
      new Promise((resolve) => {
        open = false;
        socket.close(resolve);
      }),
  };
}

/** The client is gone or its network is: nothing to do about it. */
function ignoreSendError(): void {}

async function listenTcp(
  address: string,
  port: number,
  responder: Responder,
  log: Log,
): Promise<{ port: number; stop(): Promise<void> }> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, responder, log);
  });
  server.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => {
    const refused = (error: Error): void => reject(cannotListen('tcp', address, port, error));
    server.once('error', refused);
    server.listen(port, address, () => {
      server.off('error', refused);
      resolve();
    });
  });
  server.on('error', (error) => log.warn({ error: messageOf(error) }, 'DNS socket'));
  return {
    port: (server.address() as { port: number }).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of connections) socket.destroy();
      }),
  };
}

/** Many questions may follow one another (RFC 7766); answers come in the order they are ready. */
function serveConnection(socket: Socket, responder: Responder, log: Log): void {
  const client = socket.remoteAddress ?? '';
  let received: Buffer = Buffer.alloc(0);
  let pending = 0;
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());

  async function react(packet: Buffer): Promise<void> {
    pending += 1;
    try {
      const answer = await responder.respond(packet, 'tcp', client);
      // What cannot be answered over a stream is no DNS client.
      if (!answer) socket.destroy();
      else if (!socket.destroyed && !socket.write(framed(answer))) socket.pause();
    } catch (error) {
      log.error({ error: messageOf(error) }, 'a DNS query could not be answered');
      socket.destroy();
    } finally {
      pending -= 1;
      readOn();
    }
  }

  function readOn(): void {
    while (received.length >= 2 && pending < mostPendingPerConnection && !socket.destroyed) {
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) break;
      const packet = received.subarray(2, end);
      received = received.subarray(end);
      void react(packet);
    }
    if (pending >= mostPendingPerConnection) socket.pause();
    else if (!socket.writableNeedDrain) socket.resume();
  }

  socket.on('drain', readOn);
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    readOn();
  });
}
