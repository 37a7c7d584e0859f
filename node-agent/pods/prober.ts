/** Carries out probes and http or exec hooks: one question to a container, one answer, in bounded time. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Runtime } from '../runtime/runtime.ts';

export type Check =
  | {
      readonly type: 'http';
      readonly host: string;
      readonly port: number;
      readonly path: string;
      readonly scheme: 'HTTP' | 'HTTPS';
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  | { readonly type: 'exec'; readonly containerId: string; readonly argv: readonly string[] };

export interface Answer {
  readonly success: boolean;
  /** What was seen, for events. */
  readonly message: string;
}

export interface Prober {
  /** Never rejects: what goes wrong is a failed answer. */
  ask(check: Check, timeoutMs: number, signal: AbortSignal): Promise<Answer>;
}

const quotedBytes = 256;

export function createProber(runtime: Runtime, clock: Clock): Prober {
  return {
    async ask(check, timeoutMs, signal) {
      const deadline = new AbortController();
      const timer = clock.schedule(timeoutMs, () => deadline.abort());
      const limit = AbortSignal.any([signal, deadline.signal]);
      const late: Answer = { success: false, message: `no answer within ${timeoutMs} ms` };
      try {
        if (check.type === 'exec') return await askByExec(runtime, clock, check, limit);
        return check.type === 'http' ? await askByHttp(check, limit) : await askByTcp(check, limit);
      } catch (error) {
        return limit.aborted && !signal.aborted ? late : { success: false, message: messageOf(error) };
      } finally {
        timer.cancel();
      }
    },
  };
}

/** Any answer from 200 to 399 is a success; redirects are not followed. */
function askByHttp(check: Check & { type: 'http' }, signal: AbortSignal): Promise<Answer> {
  const { host, port, path, scheme } = check;
  const headers = { 'user-agent': 'gantry-probe', accept: '*/*', connection: 'close', ...check.headers };
  const options = { host, port, path, headers, agent: false as const, signal };
  return new Promise((resolve, reject) => {
    const onResponse = (response: import('node:http').IncomingMessage): void => {
      const status = response.statusCode ?? 0;
      response.destroy();
      resolve({ success: status >= 200 && status < 400, message: `HTTP status ${status}` });
    };
    const request =
      scheme === 'HTTPS'
        ? httpsRequest({ ...options, rejectUnauthorized: false }, onResponse)
        : httpRequest(options, onResponse);
    request.on('error', reject);
    request.end();
  });
}

function askByTcp({ host, port }: Check & { type: 'tcp' }, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const onAbort = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const done = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
    };
    socket.on('connect', () => {
      done();
      resolve({ success: true, message: 'connected' });
    });
    socket.on('error', (error) => {
      done();
      reject(error);
    });
  });
}

/** Output may come a moment after the exit status. */
const outputGraceMs = 100;

async function askByExec(
  runtime: Runtime,
  clock: Clock,
  { containerId, argv }: Check & { type: 'exec' },
  signal: AbortSignal,
): Promise<Answer> {
  const session = await runtime.exec({ containerId, argv, tty: false, stdin: false });
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    const output = quoteOutput([session.stdout, ...(session.stderr ? [session.stderr] : [])]);
    const exitCode = await Promise.race([session.exitCode, aborted]);
    await Promise.race([output.ended, clock.sleep(outputGraceMs)]);
    const said = output.text().trim();
    return { success: exitCode === 0, message: `exit status ${exitCode}${said ? `: ${said}` : ''}` };
  } catch (error) {
    session.kill();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort!);
  }
}

/** The beginning of what streams bring. */
function quoteOutput(streams: readonly NodeJS.ReadableStream[]): { text(): string; readonly ended: Promise<unknown> } {
  let text = '';
  const ends = streams.map(async (stream) => {
    stream.on('data', (chunk: Buffer) => {
      if (text.length < quotedBytes) text += chunk.toString('utf8');
    });
    await new Promise<void>((resolve) => stream.once('end', resolve).once('error', () => resolve()));
  });
  return { text: () => text.slice(0, quotedBytes), ended: Promise.all(ends) };
}
