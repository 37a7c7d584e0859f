/** How the garbage collector of this process works. */
import { setFlagsFromString } from 'node:v8';
import type { Clock } from '../lib/clock.ts';

/** Resident memory from which on a collection is costly, and up to which there is room for garbage. */
const rarely = { fromBytes: 512 * 2 ** 20, toBytes: 2.5 * 2 ** 30 };
const lookEveryMs = 5_000;
const flag = 'external-memory-accounted-in-global-limit';

/**
 * Collecting all of a large heap slows everything down for a third of a second. V8 does it whenever buffers outside the heap have
 * grown by 64 MiB, which hundreds of calls a second do in some seconds. With this they count as part of the heap, which is
 * collected when the whole has grown by as much as it is large: seldom, and at the cost of memory, so only while there is room;
 * and not while the heap is small, when collecting it is a matter of milliseconds.
 * https://github.com/v8/v8/blob/main/src/flags/flag-definitions.h
 */
export function collectRarely(clock: Clock): void {
  let isRare: boolean | undefined;
  const look = (): void => {
    const bytes = process.memoryUsage.rss();
    const shouldBe = bytes >= rarely.fromBytes && bytes < rarely.toBytes;
    if (shouldBe !== isRare) setFlagsFromString(shouldBe ? `--${flag}` : `--no-${flag}`);
    isRare = shouldBe;
    clock.schedule(lookEveryMs, look);
  };
  look();
}
