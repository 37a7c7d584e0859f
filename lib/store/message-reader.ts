/** Reads a gRPC stream one message at a time, when asked and not before, so that the reader's pace is the sender's. */
import type { Clock } from '../clock.ts';

/** The part of grpc-js's ClientDuplexStream that is used here. */
export interface MessageStream<Request, Response> {
  write(message: Request): unknown;
  end(): unknown;
  cancel(): void;
  read(): Response | null;
  on(event: 'readable' | 'end' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

export class MessageReader<Response> {
  readonly #stream: MessageStream<never, Response>;
  readonly #clock: Clock;
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(stream: MessageStream<never, Response>, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    stream.on('readable', () => this.#wake());
    stream.on('error', (error) => this.fail(error));
    stream.on('end', () => this.fail(new Error('the stream ended')));
    stream.on('close', () => this.fail(new Error('the stream was closed')));
  }

  /** The stream is as good as broken. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** The next message; undefined once `ending` is aborted. Rejects when the stream has broken and is read out. */
  async next(timeoutMs: number, ending: AbortSignal): Promise<Response | 'timeout' | undefined> {
    let timedOut = false;
    const timer = this.#clock.schedule(timeoutMs, () => {
      timedOut = true;
      this.#wake();
    });
    const onAbort = (): void => this.#wake();
    ending.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        if (ending.aborted) return undefined;
        const message = this.#stream.read();
        if (message !== null) return message;
        if (this.#failure) throw this.#failure;
        if (timedOut) return 'timeout';
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      timer.cancel();
      ending.removeEventListener('abort', onAbort);
    }
  }
}
