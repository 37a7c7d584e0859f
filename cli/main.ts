/**
 * ctl, the command line of Gantry: kubectl's words, columns and exit codes. Each command lives in commands/, is loaded
 * when it is called, and works on a Context, so that tests run it without a terminal or a network.
 */
import { Command, CommanderError } from 'commander';
import { openContext } from './context.ts';
import { reportError } from './errors.ts';
import { registerCommands } from './register.ts';

const program = new Command('ctl')
  .description('controls a Gantry cluster')
  .option(
    '--config <file>',
    'where the cluster is and who you are (default: $GANTRY_CONFIG, ~/.gantry/config, the lab)',
  )
  .option('-n, --namespace <name>', 'the namespace to work in')
  .showHelpAfterError('(add --help for usage)')
  .showSuggestionAfterError()
  .enablePositionalOptions(false)
  .exitOverride();

try {
  registerCommands(program, openContext);
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else process.exitCode = reportError(error, (line) => process.stderr.write(`${line}\n`));
}
// Connections and a terminal in raw mode would keep the process; everything is written by now.
process.exit();
