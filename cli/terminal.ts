/** Standard input as exec needs it: bytes as they are typed, the window's size, and raw mode. */
import { systemExec } from '../lib/process.ts';
import type { TerminalSize } from '../proto/gen/types.ts';

export interface Terminal {
  /** Whether somebody sits at standard input. */
  readonly isInteractive: boolean;
  /** Standard input until its end. */
  input(): AsyncIterable<Uint8Array>;
  /** Undefined without a terminal. */
  size(): TerminalSize | undefined;
  /** Calls back with every new size; answers how to stop that. */
  onResize(listener: (size: TerminalSize) => void): () => void;
  /** Raw: every key goes to the other side, Ctrl-C too. No effect without a terminal. */
  setRawMode(raw: boolean): void;
}

export const processTerminal: Terminal = {
  get isInteractive() {
    return process.stdin.isTTY === true;
  },
  input: () => process.stdin as AsyncIterable<Uint8Array>,
  size: () => (process.stdout.isTTY ? { columns: process.stdout.columns, rows: process.stdout.rows } : undefined),
  onResize(listener) {
    const resized = (): void => listener({ columns: process.stdout.columns, rows: process.stdout.rows });
    process.stdout.on('resize', resized);
    return () => void process.stdout.off('resize', resized);
  },
  setRawMode(raw) {
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(raw);
    // Node's raw mode still puts a carriage return before every line feed; the other side's terminal has done so already.
    // Leaving raw mode restores this, too.
    if (raw)
      systemExec()
        .start(['stty', '-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
        .on('error', () => {});
  },
};
