/**
 * The CRI log format: `<RFC 3339 time> <stdout|stderr> <F|P> <text>`; P says that the line goes on in the next entry.
 * Pure.
 */

export interface LogEntry {
  readonly time: string;
  /** False: the line goes on. */
  readonly full: boolean;
  readonly text: Buffer;
}

const space = 0x20;
const newline = 0x0a;
const newlineBytes = Buffer.from('\n');

/** Undefined for a line that is not in the format (a file cut by a full disk). */
export function parseLogEntry(line: Buffer): LogEntry | undefined {
  const timeEnd = line.indexOf(space);
  const streamEnd = line.indexOf(space, timeEnd + 1);
  if (timeEnd <= 0 || streamEnd < 0) return undefined;
  const tag = line[streamEnd + 1];
  if (tag !== 0x46 && tag !== 0x50) return undefined;
  return { time: line.toString('latin1', 0, timeEnd), full: tag === 0x46, text: line.subarray(streamEnd + 3) };
}

/** Cuts bytes that arrive in pieces into lines; what has no newline yet waits for the next piece. */
export class LineCutter {
  #rest: Buffer = Buffer.alloc(0);

  *cut(piece: Buffer): Generator<Buffer> {
    let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline)) {
      yield bytes.subarray(0, end);
      bytes = bytes.subarray(end + 1);
    }
    this.#rest = Buffer.from(bytes); // a copy: the piece's memory may be reused
  }
}

export interface LogFormat {
  readonly timestamps: boolean;
  /** Entries before this wall time are left out. */
  readonly sinceMs?: number;
}

/** Entries as the reader is to see them. */
export class LogFormatter {
  readonly #format: LogFormat;
  #withinLine = false;

  constructor(format: LogFormat) {
    this.#format = format;
  }

  /** Empty when the entry is left out. */
  render({ time, full, text }: LogEntry): Buffer {
    const { sinceMs, timestamps } = this.#format;
    if (sinceMs !== undefined && Date.parse(time) < sinceMs) return Buffer.alloc(0);
    const stamp = timestamps && !this.#withinLine ? [Buffer.from(`${time} `)] : [];
    this.#withinLine = !full;
    return Buffer.concat([...stamp, text, ...(full ? [newlineBytes] : [])]);
  }
}

/** Where in the bytes the last `lines` whole lines begin; undefined when they hold fewer. Pieces of one line count once. */
export function lastLinesStart(bytes: Buffer, lines: number): number | undefined {
  if (lines <= 0) return bytes.length;
  let found = 0;
  let end = bytes.length;
  let start = end;
  while (end > 0) {
    const lineStart = end < 2 ? 0 : bytes.lastIndexOf(newline, end - 2) + 1;
    const entry = parseLogEntry(bytes.subarray(lineStart, end - 1));
    if (entry?.full !== false) found += 1;
    if (found > lines) return start;
    start = lineStart;
    end = lineStart;
  }
  return undefined;
}
