/**
 * Resolves after turns of the event loop in which every socket with something to read has been read: one to end the turn that is
 * running, one whole, and one for what waited for the second.
 */
export async function turnsOver(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
