/**
 * ctl, the command line of Gantry: kubectl's words, columns and exit codes. Each command lives in commands/, is loaded
 * when it is called, and works on a Context, so that tests run it without a terminal or a network.
 */
import { openContext } from './context.ts';
import { run } from './run.ts';

/** As a program that the shell ended by SIGPIPE. */
const brokenPipeExitCode = 141;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(brokenPipeExitCode);
  process.stderr.write(`error: cannot write standard output: ${error.message}\n`);
  process.exit(1);
});

const exitCode = await run(process.argv.slice(2), openContext, {
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});
// A pipe takes 64 KiB at a time: what is still on its way to a slow reader is waited for.
for (const stream of [process.stdout, process.stderr]) await new Promise((done) => stream.write('', done));
// Connections and a terminal in raw mode would keep the process.
process.exit(exitCode ?? process.exitCode);
