/** The file by which the watchdog knows when the newest acknowledged heartbeat was sent (watchdog.sh). */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

export function writeLease(folder: string, sentAtMs: number): void {
  writeWhole(`${folder}/lease`, `${Math.floor(sentAtMs)}\n`);
}

export function readLease(folder: string): number | undefined {
  const text = readIfAny(`${folder}/lease`);
  return text && /^\d+\n$/.test(text) ? Number(text) : undefined;
}

export function writeWhole(path: string, text: string): void {
  const at = path.lastIndexOf('/') + 1;
  // The agent's threads must not share a temporary file.
  const temporary = `${path.slice(0, at)}.${path.slice(at)}.${threadId}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}

export function readIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
