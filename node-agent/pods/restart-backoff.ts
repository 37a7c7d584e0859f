/** How long to wait before trying again. Pure. Kubernetes' numbers: 10 s, doubling to 5 min, forgiven after 10 min. */

export const longestBackoffMs = 300_000;
const firstBackoffMs = 10_000;
const forgivenAfterMs = 600_000;

/** Before the restart that follows `quickRestarts` quick ones. The first comes at once. */
export function restartDelayMs(quickRestarts: number): number {
  return quickRestarts === 0 ? 0 : Math.min(firstBackoffMs * 2 ** (quickRestarts - 1), longestBackoffMs);
}

/** What counts against a container that ran this long and ended. */
export function quickRestartsAfter(quickRestarts: number, ranForMs: number): number {
  return ranForMs >= forgivenAfterMs ? 0 : quickRestarts;
}

/** Before a failed pull is tried again. The first time soon: a registry that just starts is the common case. */
export function pullDelayMs(failures: number): number {
  return failures <= 1 ? 2_000 : Math.min(firstBackoffMs * 2 ** (failures - 2), longestBackoffMs);
}

/** Before a failed step (sandbox, network, mount, ...) is tried again. */
export function stepDelayMs(failures: number): number {
  return Math.min(500 * 2 ** (failures - 1), 60_000);
}
