/** One command line, from words to exit status. Tests call it with an API in process. */
import { Command, CommanderError } from 'commander';
import { normalizeArguments } from './arguments.ts';
import { interrupted, interruptedExitCode, type OpenContext } from './context.ts';
import { registerCommands } from './register.ts';

export interface Output {
  write(text: string): void;
  writeError(text: string): void;
}

/** Undefined: the command ended well, or has set the exit status itself. */
export async function run(words: readonly string[], open: OpenContext, output: Output): Promise<number | undefined> {
  const program = createProgram(output);
  try {
    await registerCommands(program, open, words);
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync(normalizeArguments(words, program), { from: 'user' });
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (error === interrupted) return interruptedExitCode;
    const { reportError } = await import('./errors.ts');
    return reportError(error, (line) => output.writeError(`${line}\n`));
  }
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
