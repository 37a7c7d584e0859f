/** How the garbage collector of this process works. */
import { setFlagsFromString } from 'node:v8';

/**
 * Collecting all of a large heap slows everything down for a third of a second. V8 does it whenever buffers outside the heap have
 * grown by 64 MiB, which hundreds of calls a second do in some seconds; with this they count as part of the heap, which is
 * collected when the whole has grown by as much as it is large.
 * https://github.com/v8/v8/blob/main/src/flags/flag-definitions.h
 */
export function collectRarely(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
