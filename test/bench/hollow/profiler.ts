/** What the main thread of another process does, while one wants to know: through V8's inspector, which it was started with. */
import { systemClock } from '../../../lib/clock.ts';

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Node ids. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

const intervalMicros = 2_000;
const attachWithinMs = 10_000;
const retryMs = 50;

export class Profiler {
  /** So far. */
  readonly profiles: CpuProfile[] = [];
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #newest = 0;
  #isRunning = false;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result, error } = JSON.parse(String(data)) as Answer;
      if (id === undefined) return;
      if (error) this.#waiting.get(id)?.reject(new Error(`the profiler: ${error.message}`));
      else this.#waiting.get(id)?.resolve(result);
      this.#waiting.delete(id);
    });
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the profiled process has ended'));
    });
  }

  /** Of the process on this machine that was started with `--inspect=127.0.0.1:<port>`. */
  static async attach(port: number): Promise<Profiler> {
    const socket = new WebSocket(await debuggerUrl(port));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('the inspector refuses')));
    });
    const profiler = new Profiler(socket);
    await profiler.#ask('Profiler.enable');
    await profiler.#ask('Profiler.setSamplingInterval', { interval: intervalMicros });
    return profiler;
  }

  async start(): Promise<void> {
    if (this.#isRunning) return;
    await this.#ask('Profiler.start');
    this.#isRunning = true;
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    const { profile } = (await this.#ask('Profiler.stop')) as { readonly profile: CpuProfile };
    this.profiles.push(profile);
  }

  /** The process could not end in order while somebody looks. */
  close(): void {
    this.#socket.close();
  }

  #ask(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#newest;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return waiting.promise;
  }
}

/** It listens a moment after the process has begun. */
async function debuggerUrl(port: number): Promise<string> {
  const endMs = systemClock.monotonicMs() + attachWithinMs;
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/json/list`);
      const [target] = (await response.json()) as { readonly webSocketDebuggerUrl: string }[];
      if (target) return target.webSocketDebuggerUrl;
    } catch (error) {
      if (systemClock.monotonicMs() > endMs) throw error;
    }
    await systemClock.sleep(retryMs);
  }
}
