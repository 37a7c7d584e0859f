/**
 * A further process in a running container: `runc exec`, with pipes or on a terminal.
 *
 * Node has no pseudo-terminal of its own. util-linux `script` has: it runs `runc exec --tty` on one and copies it to our
 * pipes; `stty` on the descriptor of that runc sets its size, which tells runc (SIGWINCH), which tells the container's.
 */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { GantryError } from '../../lib/errors.ts';
import { containerStatus, requireContainer } from './container-status.ts';
import type { RuntimeHost } from './host.ts';
import type { OciProcess, OciSpec } from './oci-spec.ts';
import type { ExecRequest, ExecSession } from './runtime.ts';
import { waitUntil } from './wait.ts';

const terminalPatienceMs = 5_000;
const pidPatienceMs = 2_000;

let execs = 0;

export async function execInContainer(host: RuntimeHost, request: ExecRequest): Promise<ExecSession> {
  const record = requireContainer(host, request.containerId);
  if (containerStatus(host, record).state !== 'running') {
    throw new GantryError(
      'failedPrecondition',
      `container ${request.containerId} does not run; exec needs a running one`,
    );
  }
  execs += 1;
  const dir = `${host.options.runDir}/exec/${process.pid}-${execs}`;
  await mkdir(dir, { recursive: true });
  const spec = JSON.parse(
    await readFile(`${host.containerStore.dirOf(request.containerId)}/config.json`, 'utf8'),
  ) as OciSpec;
  await writeFile(`${dir}/process.json`, JSON.stringify(renderExecProcess(spec.process, request)));

  const runc = [host.runc, '--root', host.runcRoot, '--log', `${dir}/log`, 'exec'];
  const files = ['--process', `${dir}/process.json`, '--pid-file', `${dir}/pid`];
  const argv = [...runc, ...files, request.containerId];
  const child = host.exec.start(
    request.tty ? onTerminal([...runc, '--tty', ...files, request.containerId], dir) : argv,
    {
      stdio: [request.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    },
  );
  child.stdin?.on('error', () => {}); // the command may close its input early
  return session(host, child, request, dir);
}

/** The container's own process settings, with another command. Pure. */
export function renderExecProcess(process: OciProcess, request: ExecRequest): OciProcess {
  const hasTerm = process.env.some((entry) => entry.startsWith('TERM='));
  return {
    ...process,
    args: request.argv,
    terminal: request.tty,
    env: request.tty && !hasTerm ? [...process.env, 'TERM=xterm'] : process.env,
  };
}

/**
 * `script` takes a command line for a shell. What goes in are paths and ids of ours, quoted all the same; the user's words are in
 * process.json. The shell notes its pid (it becomes runc), by which the terminal is found. Pure.
 */
export function onTerminal(runc: readonly string[], dir: string): readonly string[] {
  const line = `echo $$ > ${quote(`${dir}/terminal.pid`)}; exec ${runc.map(quote).join(' ')}`;
  return ['script', '--quiet', '--return', '--flush', '--echo', 'never', '--command', line, '/dev/null'];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function session(host: RuntimeHost, child: ChildProcess, request: ExecRequest, dir: string): ExecSession {
  const exitCode = new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => reject(new GantryError('internal', `cannot run exec: ${cause.message}`, { cause })));
    child.once('close', (code) => resolve(code ?? 137));
  })
    .then((code) => explain(code, dir))
    .finally(() => rm(dir, { recursive: true, force: true }));
  exitCode.catch(() => {});
  return {
    stdout: child.stdout!,
    ...(request.tty ? {} : { stderr: child.stderr! }),
    ...(child.stdin && { stdin: child.stdin }),
    exitCode,
    resize(columns, rows) {
      if (request.tty) void resizeTerminal(host, dir, columns, rows, () => child.exitCode !== null);
    },
    kill() {
      void killCommand(host, child, dir);
    },
  };
}

/** runc notes the command's pid only after it has started it; a command that we cannot name yet is waited for. */
async function killCommand(host: RuntimeHost, child: ChildProcess, dir: string): Promise<void> {
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const command = (): number | undefined => readPid(`${dir}/pid`);
  await waitUntil(host.clock, pidPatienceMs, () => isOver() || command() !== undefined);
  const pid = command();
  if (pid !== undefined && !isOver()) killQuietly(pid);
  child.kill('SIGTERM');
}

/** The first size comes before the terminal is there; it is waited for. */
async function resizeTerminal(
  host: RuntimeHost,
  dir: string,
  columns: number,
  rows: number,
  isOver: () => boolean,
): Promise<void> {
  const terminal = (): number | undefined => readPid(`${dir}/terminal.pid`);
  await waitUntil(host.clock, terminalPatienceMs, () => isOver() || terminal() !== undefined);
  const pid = terminal();
  if (pid === undefined) return;
  const size = ['cols', String(Math.trunc(columns)), 'rows', String(Math.trunc(rows))];
  const result = await host.exec.run(['stty', '--file', `/proc/${pid}/fd/0`, ...size]).catch(() => undefined);
  if (result && result.exitCode !== 0) host.log.debug({ stderr: result.stderr }, 'terminal not resized');
}

/** runc exec ends with 255 (or 1) when it could not execute the command at all; a shell would say 127 or 126. */
async function explain(code: number, dir: string): Promise<number> {
  const log = await readFile(`${dir}/log`, 'utf8').catch(() => '');
  if (!/exec failed/.test(log)) return code;
  return /permission denied|is a directory/.test(log) ? 126 : 127;
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone meanwhile.
  }
}
