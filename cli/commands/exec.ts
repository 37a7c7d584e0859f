/** `ctl exec`: runs a command in a container; its output is ours, and so is its exit status. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { ExecRequest, ExecStart } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { chooseContainer, choosePod } from '../pod-choice.ts';
import type { Terminal } from '../terminal.ts';

export interface ExecOptions {
  readonly container?: string;
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly quiet?: boolean;
}

export function registerExec(program: Command, open: OpenContext): void {
  program
    .command('exec <pod> [command...]')
    .usage('POD | TYPE/NAME [-c CONTAINER] [-it] -- COMMAND [args...]')
    .option('-c, --container <name>', 'which container; default: the first')
    .option('-i, --stdin', 'pass standard input on')
    .option('-t, --tty', 'with a terminal')
    .option('-q, --quiet', 'print only what the command prints')
    .action(async (pod: string, words: string[], _options, command: Command) => {
      const options = optionsOf<ExecOptions>(command);
      await exec(await open(options), pod, words, options);
    });
}

export async function exec(
  context: Context,
  target: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<void> {
  if (command.length === 0) {
    throw new GantryError(
      'invalidArgument',
      'you must specify at least one command for the container: ctl exec POD -- CMD',
    );
  }
  const { pod } = await choosePod(context, target);
  const warn = options.quiet ? () => {} : context.warn;
  const container = chooseContainer(pod, options.container, warn);
  const tty = options.tty === true && context.terminal.isInteractive;
  if (options.tty && !tty) warn('Unable to use a TTY - input is not a terminal or the right kind of file');
  const size = tty ? context.terminal.size() : undefined;
  const start: ExecStart = {
    namespace: pod.metadata.namespace ?? context.namespace,
    pod: pod.metadata.name,
    container,
    command: [...command],
    tty,
    stdin: options.stdin === true,
    ...(size && { size }),
  };
  const exitCode = await run(context, start, tty);
  if (exitCode === 0) return;
  warn(`command terminated with exit code ${exitCode}`);
  context.setExitCode(exitCode);
}

async function run(context: Context, start: ExecStart, tty: boolean): Promise<number> {
  const { terminal } = context;
  const ended = new AbortController();
  if (tty && start.stdin) terminal.setRawMode(true);
  try {
    const requests = tty ? withResizes(start, terminal, ended.signal) : withInput(start, terminal);
    for await (const { stdout, stderr, exitCode } of context.cluster.Exec(requests, { signal: context.signal })) {
      if (stdout) context.write(stdout);
      if (stderr) context.writeError(stderr);
      await context.flushed();
      if (exitCode !== undefined) return exitCode;
    }
  } finally {
    ended.abort();
    if (tty) terminal.setRawMode(false);
  }
  throw new GantryError('unavailable', 'the connection ended before the command did; it may still run');
}

async function* withInput(start: ExecStart, terminal: Terminal): AsyncGenerator<ExecRequest> {
  yield { start };
  if (!start.stdin) return;
  for await (const stdin of terminal.input()) yield { stdin };
  yield { closeStdin: true };
}

/** Keys and window sizes as they come. */
async function* withResizes(start: ExecStart, terminal: Terminal, ended: AbortSignal): AsyncGenerator<ExecRequest> {
  const waiting: ExecRequest[] = [{ start }];
  let wake = (): void => {};
  const add = (request: ExecRequest): void => {
    waiting.push(request);
    wake();
  };
  const stop = terminal.onResize((resize) => add({ resize }));
  ended.addEventListener('abort', () => wake(), { once: true });
  if (start.stdin) void forward(terminal, add);
  try {
    while (!ended.aborted) {
      const next = waiting.shift();
      if (next) yield next;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stop();
  }
}

async function forward(terminal: Terminal, add: (request: ExecRequest) => void): Promise<void> {
  try {
    for await (const stdin of terminal.input()) add({ stdin });
  } catch {
    // A terminal that went away has said all it will.
  }
  add({ closeStdin: true });
}
