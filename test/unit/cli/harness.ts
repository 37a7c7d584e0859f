/** ctl against the real API over the memory store, in process: command lines in, output and exit status out. */

import { type ClusterClient, interrupted, type OpenContext } from '../../../cli/context.ts';
import { run } from '../../../cli/run.ts';
import type { Terminal } from '../../../cli/terminal.ts';
import type { ApiDependencies } from '../../../control-plane/api/dependencies.ts';
import type { Clock } from '../../../lib/clock.ts';
import { GantryError } from '../../../lib/errors.ts';
import { fromServiceError, toStatus } from '../../../lib/rpc/status.ts';
import { contextOf, createHarness, type Harness } from '../control-plane/api/harness.ts';

export interface Result {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

export interface Running extends Promise<Result> {
  /** What was printed so far. */
  out(): string;
  err(): string;
  interrupt(): void;
}

export interface Cli extends Harness {
  /** A command line, split at spaces; quote with a list instead. */
  run(line: string | readonly string[], options?: RunOptions): Running;
}

export interface RunOptions {
  readonly input?: string;
  readonly terminal?: Partial<Terminal>;
  readonly clock?: Clock;
}

export async function createCli(parts: Partial<ApiDependencies> = {}): Promise<Cli> {
  const harness = await createHarness(parts);
  const clock = harness.dependencies.clock;
  return { ...harness, run: (line, options = {}) => start(harness, line, { clock, ...options }) };
}

function start({ api }: Harness, line: string | readonly string[], options: RunOptions & { clock: Clock }): Running {
  const words = typeof line === 'string' ? line.split(' ').filter(Boolean) : line;
  const interrupt = new AbortController();
  const out: string[] = [];
  const err: string[] = [];
  let exitCode = 0;
  const decoder = new TextDecoder();
  const textOf = (data: string | Uint8Array): string => (typeof data === 'string' ? data : decoder.decode(data));
  const open: OpenContext = async ({ namespace = 'default' }) => ({
    cluster: clientOf(api),
    servers: ['10.88.0.2:6443'],
    namespace,
    write: (data) => void out.push(textOf(data)),
    flushed: async () => {},
    writeError: (data) => void err.push(textOf(data)),
    warn: (text) => void err.push(`${text}\n`),
    clock: options.clock,
    readInput: async () => options.input ?? '',
    terminal: { ...noTerminal, ...options.terminal },
    signal: interrupt.signal,
    setExitCode: (code) => {
      exitCode = code;
    },
  });
  const output = { write: (text: string) => void out.push(text), writeError: (text: string) => void err.push(text) };
  const result = (code: number): Result => ({ out: out.join(''), err: err.join(''), code });
  const ended = run(words, open, output).then((code) => result(code ?? exitCode));
  return Object.assign(ended, {
    out: () => out.join(''),
    err: () => err.join(''),
    interrupt: () => interrupt.abort(interrupted),
  });
}

const noTerminal: Terminal = {
  isInteractive: false,
  async *input() {},
  size: () => undefined,
  onResize: () => () => {},
  setRawMode() {},
};

/** Errors pass through a gRPC status, as over the wire. */
export function clientOf(api: Harness['api']): ClusterClient {
  type Method = (request: unknown, context: unknown) => Promise<unknown> | AsyncIterable<unknown>;
  return new Proxy({} as ClusterClient, {
    get: (_target, name) => {
      const method = (api as unknown as Record<string, Method>)[String(name)];
      if (!method) return undefined;
      return (request: unknown, { signal }: { signal?: AbortSignal } = {}) => {
        const ended = new AbortController();
        const both = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
        const answer = method(request, contextOf('admin', both));
        return Symbol.asyncIterator in answer ? streamed(answer, both, ended) : answer.catch(rethrown);
      };
    },
  });
}

async function* streamed(
  source: AsyncIterable<unknown>,
  signal: AbortSignal,
  ended: AbortController,
): AsyncGenerator<unknown> {
  const iterator = source[Symbol.asyncIterator]();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    rethrown(error);
  } finally {
    ended.abort(new GantryError('cancelled', 'the call has ended'));
  }
}

function rethrown(error: unknown): never {
  if (!(error instanceof GantryError) || error === interrupted) throw error;
  throw fromServiceError(Object.assign(new Error(error.message), toStatus(error)));
}

/** Lets everything run until `condition` holds; the test's own timeout ends what never does. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}
