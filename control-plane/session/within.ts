import type { Clock, Timer } from '../../lib/clock.ts';

/** The promise's value, or undefined when it takes longer than that. */
export async function within<T>(promise: Promise<T>, patienceMs: number, clock: Clock): Promise<T | undefined> {
  let timer: Timer | undefined;
  const patience = new Promise<undefined>((resolve) => {
    timer = clock.schedule(patienceMs, () => resolve(undefined));
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    timer?.cancel();
  }
}
