/** Those who wait for the next change of something, and are told all at once. */
export class NextChange {
  readonly #waiting = new Set<() => void>();

  /** Resolves at the next change, or when the signal is aborted. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  tell(): void {
    for (const done of [...this.#waiting]) done();
  }
}
