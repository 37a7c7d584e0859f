/** A stream whose connection is in another thread, as the handlers of this one see it. */
import { EventEmitter } from 'node:events';
import { type Metadata, type MethodDefinition, type StatusObject, status } from '@grpc/grpc-js';
import { messageOf } from '../errors.ts';
import { type FromConnections, Taken, type ToConnections, windowBytes } from './call-frames.ts';
import type { IncomingStream } from './serve-call.ts';
import type { ThreadPort } from './thread-port.ts';

type Port = ThreadPort<ToConnections, FromConnections>;
type Definition = MethodDefinition<object, object>;

interface StreamEnds {
  readonly port: Port;
  end(trailer: Metadata): void;
  fail(error: Partial<StatusObject>): void;
}

export class ThreadedStream extends EventEmitter implements IncomingStream {
  readonly request?: object;
  cancelled = false;
  readonly #id: number;
  readonly #definition: Definition;
  readonly #ends: StreamEnds;
  readonly #read: Taken;
  #isOver = false;
  /** Bytes that the connections have not taken yet. */
  #underWay = 0;
  #isPaused = false;
  /** Came while nobody wants to read; undefined: the client sends no more. */
  #held: (Buffer | undefined)[] = [];

  constructor(id: number, definition: Definition, request: object | undefined, ends: StreamEnds) {
    super();
    if (request) this.request = request;
    this.#id = id;
    this.#definition = definition;
    this.#ends = ends;
    this.#read = new Taken((bytes) => ends.port.send('taken', id, bytes));
    this.on('error', (error: Partial<StatusObject>) => this.#finish(() => ends.fail(error)));
  }

  write(message: object): boolean {
    if (this.#isOver) return true;
    const bytes = this.#definition.responseSerialize(message);
    this.#ends.port.send('message', this.#id, undefined, bytes);
    this.#underWay += bytes.length;
    return this.#underWay < windowBytes;
  }

  taken(bytes: number): void {
    const wasFull = this.#underWay >= windowBytes;
    this.#underWay -= bytes;
    if (wasFull && this.#underWay < windowBytes) this.emit('drain');
  }

  end(trailer: Metadata): void {
    this.#finish(() => this.#ends.end(trailer));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    while (!this.#isPaused && this.#held.length > 0) this.#deliver(this.#held.shift());
  }

  receive(bytes: Buffer): void {
    this.#take(bytes);
  }

  receiveEnd(): void {
    this.#take(undefined);
  }

  cancel(): void {
    this.cancelled = true;
    this.#finish(() => {});
    this.emit('cancelled');
    this.emit('close');
  }

  #take(bytes: Buffer | undefined): void {
    if (this.#isPaused || this.#held.length > 0) this.#held.push(bytes);
    else this.#deliver(bytes);
  }

  #deliver(bytes: Buffer | undefined): void {
    if (this.#isOver) return;
    if (!bytes) return void this.emit('end');
    let message: object;
    try {
      message = this.#definition.requestDeserialize(bytes);
    } catch (error) {
      return void this.emit('error', notDecoded(error));
    }
    this.#read.add(bytes.length);
    this.emit('data', message);
  }

  #finish(tell: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#held = [];
    tell();
  }
}

export function notDecoded(error: unknown): Partial<StatusObject> & Error {
  const details = `Error deserializing request: ${messageOf(error)}`;
  return Object.assign(new Error(details), { code: status.INTERNAL, details });
}
