/**
 * Keeps the resident memory of an idle agent small. Start-up and bursts of work leave garbage that V8 has no reason to
 * collect while nothing is allocated, free blocks in the C library's heap, and mapped pages of Node itself (its
 * compilers, its start-up) that nobody reads again. When the agent is idle and has grown since, it gives them back:
 * once, some tens of milliseconds; what is needed after all comes back by itself.
 */
import { readFileSync } from 'node:fs';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { CLibrary } from '../../lib/libc.ts';
import type { Log } from '../../lib/log.ts';

export interface MemorySample {
  /** Resident, and of no file: what has to be collected rather than read again. */
  readonly anonymousBytes: number;
  /** Of this process since its start. */
  readonly cpuMs: number;
}

export interface ProcessMemory {
  sample(): MemorySample;
  giveBack(): void;
}

const lookMs = 10_000;
/** Of one core, between two looks. */
const idleCpuShare = 0.03;
const growthWorthTheWorkBytes = 6 * 1024 * 1024;

/**
 * Whether now is the time. `leftBytes`: what was anonymous after it was done last; 0 before the first time, which is
 * due even to a busy agent, because start-up left most. Pure.
 */
export function isWorthIt(before: MemorySample, now: MemorySample, leftBytes: number): boolean {
  if (leftBytes === 0) return true;
  const idle = now.cpuMs - before.cpuMs < lookMs * idleCpuShare;
  return idle && now.anonymousBytes > leftBytes + growthWorthTheWorkBytes;
}

export function keepResidentMemorySmall(memory: ProcessMemory, clock: Clock, log: Log): { stop(): void } {
  let timer: Timer;
  let before = memory.sample();
  let leftBytes = 0;
  const look = (): void => {
    timer = clock.schedule(lookMs, look);
    const now = memory.sample();
    if (isWorthIt(before, now, leftBytes)) {
      memory.giveBack();
      leftBytes = memory.sample().anonymousBytes;
      log.debug({ beforeBytes: now.anonymousBytes, leftBytes }, 'gave memory back');
    }
    before = memory.sample();
  };
  timer = clock.schedule(lookMs, look);
  return { stop: () => timer.cancel() };
}

/** This process. The garbage collector is within reach only with node's `--expose-gc`; without it the rest is done. */
export function ownMemory(library: CLibrary | undefined): ProcessMemory {
  return {
    sample() {
      const { user, system } = process.cpuUsage();
      const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
      return { anonymousBytes: Number(kilobytes ?? 0) * 1024, cpuMs: (user + system) / 1000 };
    },
    giveBack() {
      globalThis.gc?.();
      library?.trimHeap();
      if (!library) return;
      for (const { start, end } of restorableMappings(readFileSync('/proc/self/smaps', 'utf8'))) {
        library.unmapPages(start, end - start);
      }
    },
  };
}

/** Mappings of files, read-only and without a page of their own: forgetting them loses nothing. proc_pid_smaps(5). Pure. */
export function restorableMappings(smaps: string): readonly { readonly start: bigint; readonly end: bigint }[] {
  const found: { start: bigint; end: bigint }[] = [];
  let current: { start: bigint; end: bigint } | undefined;
  for (const line of smaps.split('\n')) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(.*)$/.exec(line);
    if (header) {
      const [, start, end, permissions, path] = header;
      const readOnlyFile = /^r-[x-]p$/.test(permissions!) && path!.startsWith('/');
      current = readOnlyFile ? { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) } : undefined;
    } else if (current && /^Anonymous: +0 kB$/.test(line)) {
      found.push(current);
    }
  }
  return found;
}
