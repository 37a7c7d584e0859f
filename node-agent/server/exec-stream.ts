/** One exec between a gRPC stream and the runtime's byte streams, with backpressure in both directions. */
import { once } from 'node:events';
import { GantryError } from '../../lib/errors.ts';
import type { ExecRequest, ExecResponse } from '../../proto/gen/types.ts';
import type { ExecSession } from '../runtime/runtime.ts';

/** How long output may still come after the command has ended (a grandchild may hold the pipe open). */
export const outputGraceMs = 1_000;

/** Messages of the process, its exit code last. Ends the process when it is abandoned. */
export async function* runExec(
  session: ExecSession,
  requests: AsyncIterator<ExecRequest>,
  signal: AbortSignal,
  sleep: (ms: number) => Promise<void>,
): AsyncGenerator<ExecResponse> {
  const output = new Handover<ExecResponse>();
  const pumps = [
    pump(session.stdout, (stdout) => output.give({ stdout })),
    ...(session.stderr ? [pump(session.stderr, (stderr) => output.give({ stderr }))] : []),
  ];
  void feed(session, requests);
  const end = finish(session, pumps, sleep).then(
    (exitCode) => output.end({ exitCode }),
    (error: unknown) => output.fail(error),
  );
  const onAbort = (): void => output.fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  let over = false;
  try {
    for (let message = await output.take(); message; message = await output.take()) yield message;
    over = true;
    await end;
  } finally {
    signal.removeEventListener('abort', onAbort);
    output.close();
    if (!over) session.kill();
  }
}

async function finish(
  session: ExecSession,
  pumps: readonly Promise<void>[],
  sleep: (ms: number) => Promise<void>,
): Promise<number> {
  const exitCode = await session.exitCode;
  await Promise.race([Promise.all(pumps), sleep(outputGraceMs)]);
  return exitCode;
}

async function pump(stream: NodeJS.ReadableStream, give: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  try {
    for await (const chunk of stream) await give(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  } catch {
    // The pipe broke, or nobody listens any more; the exit code tells how the command ended.
  }
}

/** Until the client says no more, or goes away. */
async function feed({ stdin, resize }: ExecSession, requests: AsyncIterator<ExecRequest>): Promise<void> {
  stdin?.on('error', () => {}); // the command may close its input early
  try {
    for (let next = await requests.next(); !next.done; next = await requests.next()) {
      const { stdin: bytes, closeStdin, resize: size } = next.value;
      if (size?.columns && size.rows) resize(size.columns, size.rows);
      if (bytes && stdin?.writable && !stdin.write(bytes))
        await Promise.race([once(stdin, 'drain'), once(stdin, 'close')]);
      if (closeStdin) stdin?.end();
    }
  } catch {
    // The call was cancelled: `runExec` ends the process.
  }
  stdin?.end();
}

/** Hands messages over one at a time: whoever gives waits until it is taken. */
class Handover<T> {
  #waiting: { readonly message: T; readonly taken: () => void }[] = [];
  #last: { readonly message?: T; readonly error?: unknown } | undefined;
  #closed = false;
  #wake: () => void = () => {};

  give(message: T): Promise<void> {
    if (this.#closed) return Promise.reject(new GantryError('cancelled', 'nobody reads any more'));
    return new Promise((resolve) => {
      this.#waiting.push({ message, taken: resolve });
      this.#wake();
    });
  }

  end(message: T): void {
    this.#last ??= { message };
    this.#wake();
  }

  fail(error: unknown): void {
    this.#last ??= { error };
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    for (const { taken } of this.#waiting) taken();
    this.#waiting = [];
  }

  /** Undefined after the last. */
  async take(): Promise<T | undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next) {
        next.taken();
        return next.message;
      }
      if (this.#closed) return undefined;
      if (this.#last) {
        this.#closed = true;
        if ('error' in this.#last) throw this.#last.error;
        return this.#last.message;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
