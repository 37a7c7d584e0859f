/**
 * The one place that starts child processes. argv arrays, never shell strings; every run has a deadline and a cap on
 * what it may print; `concurrency` bounds how many run at once.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { GantryError } from './errors.ts';

export interface RunOptions {
  /** Bytes or text written to the child's standard input. */
  readonly input?: string | Uint8Array;
  /** Killed (SIGKILL) after this long. Default 60,000 ms. */
  readonly timeoutMs?: number;
  /** Standard output and error are each cut at this many bytes. Default 8 MiB. */
  readonly maxOutputBytes?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** Exit status; 128 + signal number when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Exec {
  /** Runs to the end and returns whatever the exit status was. Rejects only when it could not start or timed out. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** As `run`, but a non-zero exit status is a GantryError (internal) that quotes the last line of standard error. */
  check(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a child and leaves its streams to the caller (who owns and must end it). */
  start(argv: readonly string[], options?: SpawnOptions): ChildProcess;
}

/** Real child processes, at most `concurrency` of `run`/`check` at once (further ones wait their turn). */
export function systemExec(concurrency = 8): Exec {
  let running = 0;
  const waiting: (() => void)[] = [];
  const acquire = async (): Promise<void> => {
    if (running < concurrency) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const release = (): void => {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  };

  const run = async (argv: readonly string[], options: RunOptions = {}): Promise<RunResult> => {
    await acquire();
    try {
      return await runOnce(argv, options);
    } finally {
      release();
    }
  };
  return {
    run,
    async check(argv, options) {
      const result = await run(argv, options);
      if (result.exitCode !== 0) {
        const lastLine = result.stderr.trim().split('\n').at(-1) ?? '';
        throw new GantryError('internal', `${argv[0]} ${argv[1] ?? ''}: exit status ${result.exitCode}: ${lastLine}`, {
          details: [argv.join(' '), result.stderr.trim()],
        });
      }
      return result;
    },
    start(argv, options = {}) {
      return spawn(argv[0]!, argv.slice(1), options);
    },
  };
}

/** How long output may still arrive after the child itself has ended. */
const pipeGraceMs = 500;

const signalNumbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

function runOnce(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const { timeoutMs = 60_000, maxOutputBytes = 8 * 1024 * 1024 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env && { env: { ...process.env, ...options.env } }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(options.signal && { signal: options.signal, killSignal: 'SIGKILL' as const }),
    });
    const collect = (stream: NodeJS.ReadableStream): (() => string) => {
      const chunks: Buffer[] = [];
      let size = 0;
      stream.on('data', (chunk: Buffer) => {
        if (size < maxOutputBytes) chunks.push(chunk.subarray(0, maxOutputBytes - size));
        size += chunk.length;
      });
      return () => Buffer.concat(chunks).toString('utf8');
    };
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    let timedOut = false;
    const deadline = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(deadline);
      reject(new GantryError('internal', `cannot run ${argv[0]}: ${error.message}`, { cause: error }));
    });
    const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
      clearTimeout(deadline);
      clearTimeout(straggler);
      child.stdout.destroy();
      child.stderr.destroy();
      if (timedOut) {
        reject(new GantryError('deadlineExceeded', `${argv[0]} did not end within ${timeoutMs} ms and was killed`));
      } else {
        const exitCode = code ?? 128 + (signalNumbers[signal ?? ''] ?? 0);
        resolve({ exitCode, stdout: stdout(), stderr: stderr() });
      }
    };
    // 'close' waits for the pipes too; a grandchild that keeps them open may hold us for this long at most.
    let straggler: NodeJS.Timeout | undefined;
    child.on('exit', (code, signal) => {
      straggler = setTimeout(() => settle(code, signal), pipeGraceMs);
    });
    child.on('close', settle);
    child.stdin.on('error', () => {}); // the child may close its input early
    child.stdin.end(options.input);
  });
}
