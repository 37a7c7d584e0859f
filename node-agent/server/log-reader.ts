/** Reads a container's log: rotated parts first, the last N lines, or for as long as it grows. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import { LineCutter, type LogFormat, LogFormatter, lastLinesStart, parseLogEntry } from './log-lines.ts';

export interface LogReadOptions extends LogFormat {
  /** Absent: all. */
  readonly tailLines?: number;
  /** Present: read on until it says that nothing more will be written. */
  readonly follow?: { readonly finished: () => Promise<boolean>; readonly clock: Clock };
  readonly signal: AbortSignal;
}

const chunkBytes = 64 * 1024;
const mostRotated = 9;
const pollMs = 100;

/** Chunks of text as bytes. */
export async function* readLog(file: string, options: LogReadOptions): AsyncGenerator<Buffer> {
  const handles = await openParts(file);
  try {
    const formatter = new LogFormatter(options);
    const start = await startOf(handles, options.tailLines);
    for (const [index, handle] of handles.entries()) {
      if (index < start.part) continue;
      const position = index === start.part ? start.position : 0;
      const last = index === handles.length - 1;
      const part = new LogPart(handle, position, formatter);
      yield* part.read(options.signal);
      if (last && options.follow) yield* followOn(file, part, options, formatter);
    }
  } finally {
    await Promise.all(handles.map((handle) => handle.close().catch(() => {})));
  }
}

/** The oldest part first. Those that rotation moves while we open are opened under one of their names. */
async function openParts(file: string): Promise<FileHandle[]> {
  const handles: FileHandle[] = [];
  const seen = new Set<number>();
  const add = async (path: string): Promise<boolean> => {
    const handle = await open(path, 'r').catch(() => undefined);
    if (!handle) return false;
    const { ino } = await handle.stat();
    if (seen.has(ino)) await handle.close();
    else handles.unshift(handle);
    seen.add(ino);
    return true;
  };
  await add(file);
  for (let number = 1; number <= mostRotated; number += 1) if (!(await add(`${file}.${number}`))) break;
  return handles;
}

interface Start {
  readonly part: number;
  readonly position: number;
}

/** From the newest part backwards, until there are enough lines. */
async function startOf(handles: readonly FileHandle[], tailLines: number | undefined): Promise<Start> {
  if (tailLines === undefined) return { part: 0, position: 0 };
  let wanted = tailLines;
  for (let part = handles.length - 1; part >= 0; part -= 1) {
    const { position, lines } = await lastLines(handles[part]!, wanted);
    if (position !== undefined) return { part, position };
    wanted -= lines;
  }
  return { part: 0, position: 0 };
}

async function lastLines(handle: FileHandle, wanted: number): Promise<{ position?: number; lines: number }> {
  const { size } = await handle.stat();
  for (let length = chunkBytes; ; length *= 4) {
    const from = Math.max(0, size - length);
    const bytes = Buffer.alloc(size - from);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
    const read = bytes.subarray(0, bytesRead);
    const whole = read.subarray(0, read.lastIndexOf(0x0a) + 1);
    // The first line of a cut window may be half a line: it does not count.
    const begin = from === 0 ? 0 : whole.indexOf(0x0a) + 1;
    const start = lastLinesStart(whole.subarray(begin), wanted);
    if (start !== undefined) return { position: from + begin + start, lines: wanted };
    if (from === 0) return { lines: countLines(whole) };
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (const line of new LineCutter().cut(bytes)) if (parseLogEntry(line)?.full !== false) lines += 1;
  return lines;
}

class LogPart {
  readonly handle: FileHandle;
  #position: number;
  readonly #formatter: LogFormatter;
  readonly #cutter = new LineCutter();

  constructor(handle: FileHandle, position: number, formatter: LogFormatter) {
    this.handle = handle;
    this.#position = position;
    this.#formatter = formatter;
  }

  /** To the present end of the file. */
  async *read(signal: AbortSignal): AsyncGenerator<Buffer> {
    const buffer = Buffer.alloc(chunkBytes);
    while (!signal.aborted) {
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      const text = this.#render(buffer.subarray(0, bytesRead));
      if (text.length > 0) yield text;
    }
  }

  #render(bytes: Buffer): Buffer {
    const rendered: Buffer[] = [];
    for (const line of this.#cutter.cut(bytes)) {
      const entry = parseLogEntry(line);
      if (entry) rendered.push(this.#formatter.render(entry));
    }
    return Buffer.concat(rendered);
  }
}

/** Reads what is appended; after a rotation goes over to the new file when the old one is read to its end. */
async function* followOn(
  file: string,
  first: LogPart,
  { follow, signal }: LogReadOptions,
  formatter: LogFormatter,
): AsyncGenerator<Buffer> {
  let part = first;
  let opened: FileHandle | undefined;
  try {
    while (!signal.aborted) {
      const finished = await follow!.finished(); // asked before reading, so that its last words are read after it
      const replaced = await isReplaced(file, part.handle);
      yield* part.read(signal);
      if (replaced) {
        const next = await open(file, 'r').catch(() => undefined);
        if (next) {
          await opened?.close();
          opened = next;
          part = new LogPart(next, 0, formatter);
          continue;
        }
      }
      if (finished) return;
      await follow!.clock.sleep(pollMs, signal).catch(() => {});
    }
  } finally {
    await opened?.close();
  }
}

async function isReplaced(file: string, handle: FileHandle): Promise<boolean> {
  const [now, ours] = await Promise.all([stat(file).catch(() => undefined), handle.stat()]);
  return now !== undefined && now.ino !== ours.ino;
}
