/** One question to one server over a socket of its own. */
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { Clock } from '../clock.ts';
import { GantryError } from '../errors.ts';
import { sameQuestion } from './query.ts';

export interface ExchangeOptions {
  readonly address: string;
  readonly port: number;
  readonly transport: 'udp' | 'tcp';
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Rejects when the server is out of reach or does not answer in time. What does not fit the question is not an answer. */
export function exchange(query: Buffer, options: ExchangeOptions): Promise<Buffer> {
  const { clock, timeoutMs, address, transport } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const open = transport === 'udp' ? openUdp : openTcp;
  const take = (answer: Buffer): void => {
    if (sameQuestion(query, answer)) resolve(answer);
  };
  const fail = (error: Error): void => reject(new GantryError('unavailable', `DNS ${address}: ${error.message}`));
  const close = open(query, options, take, fail);
  const timer = clock.schedule(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
  return promise.finally(() => {
    timer.cancel();
    close();
  });
}

type Open = (
  query: Buffer,
  options: ExchangeOptions,
  take: (answer: Buffer) => void,
  fail: (error: Error) => void,
) => () => void;

/** Connected: the kernel drops what does not come from the server, and a closed port is known at once. */
const openUdp: Open = (query, { address, port }, take, fail) => {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('error', fail);
  socket.on('message', take);
  socket.connect(port, address, () => {
    socket.send(query, (error) => {
      if (error) fail(error);
    });
  });
  return () => socket.close();
};

const openTcp: Open = (query, { address, port }, take, fail) => {
  const socket = connect({ host: address, port });
  let received = Buffer.alloc(0);
  socket.on('error', fail);
  socket.on('end', () => fail(new Error('closed the connection without an answer')));
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2) return;
    const end = 2 + received.readUInt16BE(0);
    if (received.length >= end) take(received.subarray(2, end));
  });
  socket.write(framed(query));
  return () => socket.destroy();
};

/** RFC 1035 4.2.2: over TCP a message comes behind its length. */
export function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(2 + message.length);
  frame.writeUInt16BE(message.length, 0);
  message.copy(frame, 2);
  return frame;
}
