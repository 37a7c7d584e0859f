/** An interrupted bench takes its processes and folders with it. */
const undos = new Set<() => void>();
let listening = false;

/** Returns what to call when it was undone in order. */
export function onInterrupt(undo: () => void): () => void {
  undos.add(undo);
  if (!listening) {
    listening = true;
    for (const [signal, exitCode] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(signal, () => {
        for (const one of undos) one();
        process.exit(exitCode);
      });
    }
  }
  return () => undos.delete(undo);
}
