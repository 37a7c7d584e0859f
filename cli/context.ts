/** What a command works with. Tests hand in an API in process and collect what is printed. */
import { once } from 'node:events';
import type { Command } from 'commander';
import { type Clock, systemClock } from '../lib/clock.ts';
import { GantryError } from '../lib/errors.ts';
import type { ServiceClient } from '../lib/rpc/client.ts';
import type { ClientConfig } from './config.ts';
import { processTerminal, type Terminal } from './terminal.ts';

export type ClusterClient = ServiceClient<'Cluster'>;

export interface Context {
  readonly cluster: ClusterClient;
  /** Where `cluster` is, for people. */
  readonly servers: readonly string[];
  /** -n, or the config's namespace. */
  readonly namespace: string;
  /** Standard output, with no line end added. */
  readonly write: (text: string | Uint8Array) => void;
  /** Resolves when a slow reader has caught up; for commands that print without end. */
  readonly flushed: () => Promise<void>;
  /** Standard error, as it is. */
  readonly writeError: (bytes: Uint8Array) => void;
  /** Standard error, a line. */
  readonly warn: (line: string) => void;
  readonly clock: Clock;
  /** All of standard input. */
  readonly readInput: () => Promise<string>;
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C, with `interrupted` as its reason. */
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

export const interrupted = new GantryError('cancelled', 'interrupted');

/** As shells have it: 128 and the number of SIGINT. */
export const interruptedExitCode = 130;

/** What a command may still do about Ctrl-C before it is cut short. */
const interruptGraceMs = 200;

/** The real terminal and a connection by the config file. Loaded late: `ctl --help` needs neither. */
export const openContext: OpenContext = async (options) => {
  const [{ findConfig, readConfig }, { connectTo }] = await Promise.all([
    import('./config.ts'),
    import('./connection.ts'),
  ]);
  const config: ClientConfig = readConfig(findConfig(options.config, process.env));
  const interrupt = new AbortController();
  process.once('SIGINT', () => {
    interrupt.abort(interrupted);
    systemClock.schedule(interruptGraceMs, () => process.exit(interruptedExitCode));
  });
  return {
    cluster: connectTo(config),
    servers: config.servers,
    namespace: options.namespace ?? config.namespace,
    write: (text) => void process.stdout.write(text),
    flushed: async () => {
      if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
    },
    writeError: (bytes) => void process.stderr.write(bytes),
    warn: (line) => void process.stderr.write(`${line}\n`),
    clock: systemClock,
    readInput: readStandardInput,
    terminal: processTerminal,
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
