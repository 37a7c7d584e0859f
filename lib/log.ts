/** Structured logs, one JSON object a line on standard error. A thin interface so that pure code never sees pino. */
import { writeSync } from 'node:fs';
import { pino } from 'pino';

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** A logger for one program; `component` and other bindings are added with `child`. */
export function createLog(program: string, level: LogLevel = 'info'): Log {
  return pino({ name: program, level, base: { name: program } }, { write: writeLine });
}

/** A log on a full disk, or a reader that went away, costs the line and not the program. */
function writeLine(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // Where should it be said?
  }
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
