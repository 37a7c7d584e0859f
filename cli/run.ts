/** One command line, from words to exit status. Tests call it with an API in process. */
import { Command, CommanderError } from 'commander';
import type { GantryError } from '../lib/errors.ts';
import { normalizeArguments } from './arguments.ts';
import { interrupted, interruptedExitCode, type OpenContext } from './context.ts';
import { registerCommands } from './register.ts';

export interface Output {
  write(text: string): void;
  writeError(text: string): void;
}

/** Undefined: the command ended well, or has set the exit status itself. */
export async function run(words: readonly string[], open: OpenContext, output: Output): Promise<number | undefined> {
  /** What commander says is wrong, until it is known whether there is something better to say. */
  const complaints: string[] = [];
  const program = createProgram({ ...output, writeError: (text) => complaints.push(text) });
  const report = async (error: unknown): Promise<number> => {
    const { reportError } = await import('./errors.ts');
    return reportError(error, (line) => output.writeError(`${line}\n`));
  };
  try {
    await registerCommands(program, open, words);
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync(normalizeArguments(words, program), { from: 'user' });
    return undefined;
  } catch (error) {
    if (error === interrupted) return interruptedExitCode;
    if (!(error instanceof CommanderError)) return report(error);
    const known = error.exitCode === 0 ? undefined : await knownElsewhere(words, program, error);
    if (known) return report(known);
    for (const text of complaints) output.writeError(text);
    return error.exitCode;
  }
}

/** What is not ours, but kubectl's. */
async function knownElsewhere(
  words: readonly string[],
  program: Command,
  { message }: CommanderError,
): Promise<GantryError | undefined> {
  const { path, next } = calledCommand(words, program);
  const [, flag] = /unknown option '([^'=]+)/.exec(message) ?? [];
  if (flag !== undefined) {
    const { unsupportedFlag } = await import('./commands/unsupported-flags.ts');
    return unsupportedFlag(path, flag);
  }
  const { notSupported, unsupportedCommand } = await import('./commands/unsupported.ts');
  const known = unsupportedCommand([...path, next ?? ''].join(' '));
  if (known || path.join() !== 'create' || !/too many arguments/.test(message)) return known;
  const cure = 'write a manifest of it, then `ctl create -f FILE`; `ctl create --help` lists what flags make';
  return notSupported(`ctl create ${next}`, cure);
}

/** The words that are commands, and the one after them. */
function calledCommand(words: readonly string[], program: Command): { path: string[]; next: string | undefined } {
  const path: string[] = [];
  let command = program;
  for (const word of words) {
    if (word === '--') break;
    if (word.startsWith('-')) continue;
    const child = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (!child) {
      if (path.length > 0) return { path, next: word };
      continue; // the value of a flag before the command
    }
    path.push(child.name());
    command = child;
  }
  return { path, next: undefined };
}

function createProgram({ write, writeError }: Output): Command {
  return new Command('ctl')
    .description('controls a Gantry cluster')
    .option(
      '--config <file>',
      'where the cluster is and who you are (default: $GANTRY_CONFIG, ~/.gantry/config, the lab)',
    )
    .option('-n, --namespace <name>', 'the namespace to work in')
    .configureOutput({ writeOut: write, writeErr: writeError })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help for usage)')
    .showSuggestionAfterError()
    .enablePositionalOptions(false)
    .exitOverride();
}
