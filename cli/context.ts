/** What a command works with. Tests hand in an API in process and collect what is printed. */
import type { Command } from 'commander';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { ServiceClient } from '../lib/rpc/client.ts';
import type { ClientConfig } from './config.ts';

export type ClusterClient = ServiceClient<'Cluster'>;

export interface Context {
  readonly cluster: ClusterClient;
  /** -n, or the config's namespace. */
  readonly namespace: string;
  /** Standard output, with no line end added. */
  readonly write: (text: string) => void;
  /** Standard error, a line. */
  readonly warn: (line: string) => void;
  readonly clock: Clock;
  readonly readInput: () => Promise<string>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** The exit status when the command ends without throwing. */
  setExitCode(code: number): void;
}

export interface GlobalOptions {
  readonly config?: string;
  readonly namespace?: string;
}

export type OpenContext = (options: GlobalOptions) => Promise<Context>;

/** The options of a command with those of its parents. */
export function optionsOf<T extends object>(command: Command): T & GlobalOptions {
  return command.optsWithGlobals();
}

/** The real terminal and a connection by the config file. Loaded late: `ctl --help` needs neither. */
export const openContext: OpenContext = async (options) => {
  const [{ findConfig, readConfig }, { connectTo }] = await Promise.all([
    import('./config.ts'),
    import('./connection.ts'),
  ]);
  const config: ClientConfig = readConfig(findConfig(options.config, process.env));
  const interrupt = new AbortController();
  process.once('SIGINT', () => {
    interrupt.abort(new Error('interrupted'));
    systemClock.schedule(200, () => process.exit(130));
  });
  return {
    cluster: connectTo(config),
    namespace: options.namespace ?? config.namespace,
    write: (text) => void process.stdout.write(text),
    warn: (line) => void process.stderr.write(`${line}\n`),
    clock: systemClock,
    readInput: readStandardInput,
    signal: interrupt.signal,
    setExitCode: (code) => {
      process.exitCode = code;
    },
  };
};

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
