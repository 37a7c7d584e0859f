import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import {
  isWorthIt,
  keepResidentMemorySmall,
  type MemorySample,
  restorableMappings,
} from '../../../../node-agent/host/resident-memory.ts';

const MiB = 1024 * 1024;
const sample = (anonymousMiB: number, cpuMs: number): MemorySample => ({ anonymousBytes: anonymousMiB * MiB, cpuMs });

describe('isWorthIt', () => {
  const cases: readonly [string, MemorySample, MemorySample, number, boolean][] = [
    ['never done before', sample(90, 1_000), sample(90, 4_000), 0, true],
    ['busy', sample(90, 1_000), sample(90, 1_400), 70, false],
    ['idle and hardly grown', sample(75, 1_000), sample(75, 1_100), 70, false],
    ['idle and grown', sample(80, 1_000), sample(80, 1_100), 70, true],
  ];
  it.each(cases)('%s', (_name, before, now, leftMiB, expected) => {
    expect(isWorthIt(before, now, leftMiB * MiB)).toBe(expected);
  });
});

describe('keepResidentMemorySmall', () => {
  it('gives back after the start, and again when the process is idle and has grown', async () => {
    const clock = virtualClock();
    let [ownMiB, cpuMs, times] = [90, 500, 0];
    const memory = {
      sample: () => sample(ownMiB, cpuMs),
      giveBack() {
        times += 1;
        ownMiB = 60;
      },
    };
    const keeper = keepResidentMemorySmall(memory, clock, silentLog);
    await clock.advance(10_000);
    expect(times).toBe(1);
    ownMiB = 65;
    await clock.advance(60_000);
    expect(times).toBe(1);
    ownMiB = 80;
    cpuMs += 900;
    await clock.advance(10_000);
    expect(times).toBe(1); // busy
    await clock.advance(10_000);
    expect(times).toBe(2);
    ownMiB = 100;
    keeper.stop();
    await clock.advance(60_000);
    expect(times).toBe(2);
  });
});

describe('restorableMappings', () => {
  it('takes read-only parts of files that have no page of their own, and nothing else', () => {
    const mapping = (header: string, anonymousKb: number): string =>
      `${header}\nSize:  64 kB\nRss:   8 kB\nAnonymous:  ${anonymousKb} kB\nVmFlags: rd mr\n`;
    const smaps = [
      mapping('00400000-0082e000 r--p 00000000 fe:00 53 /usr/bin/node', 0),
      mapping('0082e000-03489000 r-xp 0042e000 fe:00 53 /usr/bin/node', 0),
      mapping('072a7000-072dc000 r--p 06ea7000 fe:00 53 /usr/bin/node', 24),
      mapping('072dc000-072f0000 rw-p 06edc000 fe:00 53 /usr/bin/node', 0),
      mapping('7f0000000000-7f0000040000 r--p 00000000 00:00 0 ', 0),
      mapping('7f0000040000-7f0000080000 r--s 00000000 fe:00 54 /usr/lib/shared', 0),
      mapping('7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0                          [vdso]', 0),
    ].join('');
    expect(restorableMappings(smaps)).toEqual([
      { start: 0x400000n, end: 0x82e000n },
      { start: 0x82e000n, end: 0x3489000n },
    ]);
  });

  it('finds the program itself in the smaps of this process', () => {
    expect(restorableMappings(readFileSync('/proc/self/smaps', 'utf8')).length).toBeGreaterThan(0);
  });
});
