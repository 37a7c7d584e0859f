import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../../lib/clock.ts';
import { type LogReadOptions, readLog } from '../../../../node-agent/server/log-reader.ts';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-logs-'));
  file = join(folder, '0.log');
});
afterEach(() => rm(folder, { recursive: true }));

const at = (second: number): string => new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString();
const line = (second: number, text: string, tag: 'F' | 'P' = 'F'): string => `${at(second)} stdout ${tag} ${text}\n`;

async function read(options: Partial<LogReadOptions> = {}): Promise<string> {
  const chunks: Buffer[] = [];
  const signal = new AbortController().signal;
  for await (const chunk of readLog(file, { timestamps: false, signal, ...options })) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('reading a log', () => {
  test('joins the pieces of long lines and leaves out the format', async () => {
    await writeFile(file, line(1, 'one') + line(2, 'long ', 'P') + line(2, 'line') + line(3, '') + line(4, 'Ünï'));
    expect(await read()).toBe('one\nlong line\n\nÜnï\n');
  });

  test('with timestamps says when each line began', async () => {
    await writeFile(file, line(1, 'one') + line(2, 'long ', 'P') + line(3, 'line'));
    expect(await read({ timestamps: true })).toBe(`${at(1)} one\n${at(2)} long line\n`);
  });

  test('begins with the rotated parts, oldest first', async () => {
    await writeFile(`${file}.2`, line(1, 'one'));
    await writeFile(`${file}.1`, line(2, 'two'));
    await writeFile(file, line(3, 'three'));
    expect(await read()).toBe('one\ntwo\nthree\n');
  });

  test.each([
    [0, ''],
    [1, 'four\n'],
    [2, 'long three\nfour\n'],
    [3, 'two\nlong three\nfour\n'],
    [99, 'one\ntwo\nlong three\nfour\n'],
  ])('the last %i lines reach back into rotated parts and do not cut long ones', async (tailLines, expected) => {
    await writeFile(`${file}.1`, line(1, 'one') + line(2, 'two'));
    await writeFile(file, line(3, 'long ', 'P') + line(3, 'three') + line(4, 'four'));
    expect(await read({ tailLines })).toBe(expected);
  });

  test('the last lines of a file larger than one window are found', async () => {
    const lines = Array.from({ length: 5_000 }, (_, index) => line(index % 60, `line ${index} ${'x'.repeat(100)}`));
    await writeFile(file, lines.join(''));
    const text = await read({ tailLines: 2_000 });
    expect(text.split('\n')).toHaveLength(2_001);
    expect(text).toMatch(/^line 3000 /);
  });

  test('since leaves out what is older', async () => {
    await writeFile(file, line(1, 'one') + line(5, 'two') + line(9, 'three'));
    expect(await read({ sinceMs: Date.parse(at(5)) })).toBe('two\nthree\n');
  });

  test('a half-written last line and lines that are not in the format are left out', async () => {
    await writeFile(file, `${line(1, 'one')}garbage\n${line(2, 'two')}${at(3)} stdout F thr`);
    expect(await read()).toBe('one\ntwo\n');
  });

  test('following goes on over a rotation until the container has ended', async () => {
    await writeFile(file, line(1, 'one'));
    let ended = false;
    const seen: string[] = [];
    const signal = new AbortController().signal;
    const follow = { finished: async () => ended, clock: systemClock };
    const script: Record<string, () => Promise<unknown>> = {
      'one\n': () => appendFile(file, line(2, 'two')),
      'two\n': async () => {
        await appendFile(file, line(3, 'three'));
        await rename(file, `${file}.1`);
        await writeFile(file, line(4, 'four'));
      },
      'four\n': async () => {
        await appendFile(file, line(5, 'last words'));
        ended = true;
      },
    };
    for await (const chunk of readLog(file, { timestamps: false, tailLines: 1, follow, signal })) {
      seen.push(chunk.toString());
      await script[chunk.toString()]?.();
    }
    expect(seen.join('')).toBe('one\ntwo\nthree\nfour\nlast words\n');
  });

  test('following ends when the reader goes away', async () => {
    await writeFile(file, line(1, 'one'));
    const reader = new AbortController();
    const follow = { finished: async () => false, clock: systemClock };
    for await (const chunk of readLog(file, { timestamps: false, follow, signal: reader.signal })) {
      expect(chunk.toString()).toBe('one\n');
      reader.abort();
    }
  });
});
