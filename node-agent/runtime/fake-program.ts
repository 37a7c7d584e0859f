/** What a fake container does when it runs: a tiny reading of the commands that tests use. Pure. */

export interface FakeProgram {
  /** The command cannot be executed, in these words. */
  readonly startError?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  /** Absent: runs until it is signalled. */
  readonly exitsAfterMs?: number;
  readonly exitCode?: number;
  /** Needs SIGKILL: as process 1 of its namespace it has no default action for signals. */
  readonly ignoresSigterm?: boolean;
  /** What it uses while it runs. Default 10. */
  readonly cpuMillis?: number;
  /** Exit status after SIGTERM. Default 143. */
  readonly exitCodeOnSigterm?: number;
}

/**
 * `true`, `false`, `echo`, `sleep SECONDS`, and `sh -c` with `exit N`, `sleep N`, `echo TEXT [>&2]` and
 * `trap "exit N" TERM` joined by `;`; without the trap they ignore SIGTERM, as such programs do when they are process 1.
 * Commands below `/no/such` do not exist. Anything else is a server that runs until it is told to end.
 */
export function readProgram(argv: readonly string[]): FakeProgram {
  const [command = '', ...rest] = argv;
  const base = command.split('/').at(-1) ?? '';
  if (command.startsWith('/no/such')) {
    return { startError: `exec: "${command}": stat ${command}: no such file or directory` };
  }
  if (base === 'sh' && rest[0] === '-c') return readScript(rest[1] ?? '');
  if (['true', 'false', 'echo', 'sleep'].includes(base)) return readScript([base, ...rest].join(' '));
  return {};
}

function readScript(script: string): FakeProgram {
  let program: FakeProgram = { exitsAfterMs: 0, exitCode: 0, ignoresSigterm: true };
  for (const statement of script.split(/;|&&/).map((part) => part.trim())) {
    program = { ...program, ...readStatement(statement, program) };
    if (statement.startsWith('exit')) break;
  }
  return program;
}

function readStatement(statement: string, before: FakeProgram): FakeProgram {
  const [word = '', ...rest] = statement.replace(/^exec /, '').split(/\s+/);
  if (word === 'exit') return { exitCode: Number(rest[0] ?? 0) };
  if (word === 'false') return { exitCode: 1 };
  if (word === 'sleep') return { exitsAfterMs: (before.exitsAfterMs ?? 0) + Number(rest[0]) * 1000 };
  const onSigterm = /^trap ["']exit ([0-9]+)["'] TERM$/.exec(statement)?.[1];
  if (onSigterm !== undefined) return { ignoresSigterm: false, exitCodeOnSigterm: Number(onSigterm) };
  if (word === 'echo' && rest.at(-1) === '>&2') {
    return { stderr: `${before.stderr ?? ''}${unquote(rest.slice(0, -1))}\n` };
  }
  if (word === 'echo') return { stdout: `${before.stdout ?? ''}${unquote(rest)}\n` };
  return {};
}

function unquote(words: readonly string[]): string {
  return words.join(' ').replace(/^(["'])(.*)\1$/, '$2');
}
