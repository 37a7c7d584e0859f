/** How the garbage collector of this process works. */
import { setFlagsFromString } from 'node:v8';
import type { Clock } from '../lib/clock.ts';

/** Resident memory from which on a collection is costly, and up to which there is room for garbage. */
const costlyFromBytes = 512 * 2 ** 20;
const roomUntilBytes = { buffers: 2.5 * 2 ** 30, heap: 1.5 * 2 ** 30 };
/** The heap may grow by so much of what is alive before it is collected again. V8's own choice is 75 to 170. */
const growPercent = 250;
const lookEveryMs = 5_000;

/**
 * Collecting all of a large heap slows everything down for a third of a second, so that is done seldom, at the cost of memory,
 * while there is room; and not while the heap is small, when collecting it is a matter of milliseconds.
 *
 * - V8 does it whenever buffers outside the heap have grown by 64 MiB, which hundreds of calls a second do in some seconds. They
 *   can count as part of the heap instead.
 * - The heap itself is collected when it has grown by a share of what was left the last time.
 *
 * https://github.com/v8/v8/blob/main/src/flags/flag-definitions.h
 */
export function collectRarely(clock: Clock): void {
  const set = new Map<string, boolean>();
  const choose = (on: string, off: string, wanted: boolean): void => {
    if (set.get(on) !== wanted) setFlagsFromString(wanted ? on : off);
    set.set(on, wanted);
  };
  const look = (): void => {
    const bytes = process.memoryUsage.rss();
    const flag = 'external-memory-accounted-in-global-limit';
    choose(`--${flag}`, `--no-${flag}`, bytes >= costlyFromBytes && bytes < roomUntilBytes.buffers);
    const growing = '--heap-growing-percent=';
    choose(`${growing}${growPercent}`, `${growing}0`, bytes >= costlyFromBytes && bytes < roomUntilBytes.heap);
    clock.schedule(lookEveryMs, look);
  };
  look();
}
