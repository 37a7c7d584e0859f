/**
 * The few functions of the C library that Node has none of its own for. Only this file calls foreign code: a wrong
 * signature ends the process, so each stands here beside the manual page it follows.
 *
 * `node:ffi` is new, and may be switched off (`--no-experimental-ffi`): who uses it does without when it is not there.
 */

export interface CLibrary {
  /** malloc_trim(3): free memory at the top and in the middle of the heap goes back to the kernel. */
  trimHeap(): void;
  /** madvise(2) with MADV_DONTNEED: false when the kernel refuses. Only for mappings that the file can restore. */
  unmapPages(start: bigint, lengthBytes: bigint): boolean;
}

/** The same for every architecture of Linux that Node runs on. */
const dontNeed = 4;

/** Undefined where this Node, or this C library, cannot do it. */
export async function openCLibrary(): Promise<CLibrary | undefined> {
  try {
    const { dlopen } = await import('node:ffi');
    const { functions } = dlopen(null, {
      malloc_trim: { arguments: ['u64'], return: 'i32' },
      madvise: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
    });
    return {
      trimHeap: () => void functions.malloc_trim(0n),
      unmapPages: (start, lengthBytes) => functions.madvise(start, lengthBytes, dontNeed) === 0,
    };
  } catch {
    return undefined;
  }
}
