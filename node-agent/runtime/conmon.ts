/**
 * conmon, the shim between the agent and a container: it runs `runc create`, holds the container's standard streams or
 * terminal, writes the log and, when the first process ends, the exit file. It outlives the agent.
 *
 * Protocol (conmon 2.1, src/conmon.c): it answers on the descriptor named by _OCI_SYNCPIPE with one line of JSON, `{"pid": N}`
 * or `{"pid": -1, "message": "..."}`; orders go to the fifo `ctl` in the bundle as "<type> <a> <b>\n", type 2 meaning "reopen the log".
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Clock, Timer } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';
import { singleThreadedGo } from './host.ts';
import type { ContainerConfig } from './runtime.ts';

export interface ConmonPaths {
  readonly conmon: string;
  readonly runc: string;
  /** State folder of runc. */
  readonly runcRoot: string;
  /** The container's folder: config.json and whatever conmon writes beside it. */
  readonly bundle: string;
  readonly exitDir: string;
}

/** The argument vector. Pure. */
export function conmonArgv(paths: ConmonPaths, container: ContainerConfig): readonly string[] {
  return [
    paths.conmon,
    ...['--cid', container.id, '--cuuid', container.id, '--name', container.name],
    ...['--runtime', paths.runc, '--runtime-arg', '--root', '--runtime-arg', paths.runcRoot],
    ...['--bundle', paths.bundle, '--persist-dir', paths.bundle, '--exit-dir', paths.exitDir],
    ...['--container-pidfile', `${paths.bundle}/pid`, '--conmon-pidfile', `${paths.bundle}/conmon.pid`],
    ...['--log-path', `k8s-file:${container.logPath}`, '--log-level', 'error', '--no-sync-log', '--full-attach'],
    ...(container.terminal ? ['--terminal'] : []),
    ...(container.stdin ? ['--stdin'] : []),
  ];
}

/** What the sync pipe said. Pure. */
export function parseSyncMessage(text: string): { readonly pid: number } | { readonly problem: string } {
  let message: { pid?: number; data?: number; message?: string };
  try {
    message = JSON.parse(text.trim().split('\n')[0] ?? '');
  } catch {
    return { problem: text.trim() || 'conmon ended without a word' };
  }
  const pid = message.pid ?? message.data ?? -1;
  return pid > 0 ? { pid } : { problem: runcWords(message.message ?? '') };
}

/** runc logs `time="..." level=error msg="runc create failed: unable to start container process: ..."`: the end of it. Pure. */
export function runcWords(output: string): string {
  const line = output.trim().split('\n').at(-1) ?? '';
  const quoted = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replace(/\\(.)/g, '$1');
  const words = (quoted ?? line)
    .replace(/^runc create failed: /, '')
    .replace(/^unable to start container process: /, '');
  return words || 'no reason given';
}

/** True when the words mean that the command itself cannot be executed (rather than that its surroundings are wrong). */
export function isCommandProblem(words: string): boolean {
  return /(?:^|: )exec: "/.test(words);
}

/**
 * Starts conmon and resolves with the pid of the created (not yet started) container, or with the problem. conmon goes on
 * holding its end of the pipes, so the first line of the answer is what counts, or the end of all.
 */
export async function runConmon(
  exec: Exec,
  clock: Clock,
  argv: readonly string[],
  bundle: string,
): Promise<{ readonly pid: number } | { readonly problem: string }> {
  const child = exec.start(argv, {
    cwd: bundle, // where it leaves a file called "oom" when the kernel kills for memory
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
    // Its runc inherits this; the container does not.
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', _OCI_SYNCPIPE: '3', ...singleThreadedGo },
  });
  const answer = child.stdio[3] as Readable;
  const stderr = textOf(child.stderr!);
  let alarm: Timer | undefined;
  try {
    const line = await new Promise<string>((resolve, reject) => {
      const text = textOf(answer);
      answer.on('data', () => text().includes('\n') && resolve(text()));
      answer.once('close', () => resolve(text()));
      child.once('error', (cause) => {
        reject(new GantryError('internal', `cannot run ${argv[0]}: ${cause.message}`, { cause }));
      });
      alarm = clock.schedule(createPatienceMs, () => resolve(timedOut));
    });
    return parseSyncMessage(line || stderr());
  } finally {
    alarm?.cancel();
    answer.destroy();
    child.stderr!.destroy();
    child.unref();
  }
}

const createPatienceMs = 60_000;
const timedOut = JSON.stringify({
  pid: -1,
  message: `not created within ${createPatienceMs / 1000} s; is the node overloaded?`,
});

function textOf(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(0, 64 * 1024);
  });
  stream.on('error', () => {}); // what counts is what arrived before
  return () => text;
}

/** Has conmon open the log file anew. A conmon that is gone has nothing to reopen. */
export async function orderLogReopen(bundle: string): Promise<void> {
  // Non-blocking: opening a fifo that nobody reads would otherwise wait for ever.
  const fifo = await open(`${bundle}/ctl`, constants.O_WRONLY | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENXIO' || error.code === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (!fifo) return;
  try {
    await fifo.write('2 0 0\n');
  } finally {
    await fifo.close();
  }
}
