/**
 * Frames between two threads. What is sent in one turn of the event loop crosses together: one message, with all bytes in
 * one buffer that changes hands; a message of its own for each costs several times as much, and so does a buffer.
 */

/** A Worker, or a MessagePort. */
interface Port {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

/** A frame is four entries: kind, call, value, length of its bytes (-1: it has none). */
interface Batch {
  readonly frames: readonly unknown[];
  readonly bytes: ArrayBuffer | undefined;
}

const entriesOfFrame = 4;

/** `Out` and `In`: for each kind of frame, what its value is. Values are cloned, so they are plain data. */
export class ThreadPort<Out extends object, In extends object> {
  readonly #port: Port;
  #frames: unknown[] = [];
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** `receive` must not throw: what came in the same turn would be lost. */
  constructor(
    port: Port,
    receive: <Kind extends keyof In>(kind: Kind, call: number, value: In[Kind], bytes: Buffer | undefined) => void,
  ) {
    this.#port = port;
    port.on('message', (message) => {
      const { frames, bytes } = message as Batch;
      let offset = 0;
      for (let index = 0; index < frames.length; index += entriesOfFrame) {
        const length = frames[index + 3] as number;
        const own = length < 0 || !bytes ? undefined : Buffer.from(bytes, offset, length);
        if (own) offset += length;
        receive(frames[index] as keyof In, frames[index + 1] as number, frames[index + 2] as In[keyof In], own);
      }
    });
  }

  /** `call` 0: of none. The bytes are copied at the end of the turn, and must be the same until then. */
  send<Kind extends keyof Out>(kind: Kind, call: number, value: Out[Kind], bytes?: Uint8Array): void {
    if (this.#frames.length === 0) setImmediate(() => this.#flush());
    this.#frames.push(kind, call, value, bytes ? bytes.length : -1);
    if (!bytes) return;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
  }

  #flush(): void {
    const frames = this.#frames;
    const bytes = this.#parts.length > 0 ? new Uint8Array(this.#bytes) : undefined;
    let offset = 0;
    for (const part of this.#parts) {
      bytes!.set(part, offset);
      offset += part.length;
    }
    this.#frames = [];
    this.#parts = [];
    this.#bytes = 0;
    this.#port.postMessage({ frames, bytes: bytes?.buffer } satisfies Batch, bytes ? [bytes.buffer] : []);
  }
}
