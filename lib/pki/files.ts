/** Small files that must be whole or absent after a crash: written beside, synced, then renamed into place. */
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

let sequence = 0;

/** Mode 0600 unless told otherwise; missing folders are made 0700. */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  sequence += 1;
  const temporary = join(folder, `.${basename(path)}.${process.pid}.${sequence}.tmp`);
  try {
    await withFile(await open(temporary, 'w', mode), async (file) => {
      await file.chmod(mode);
      await file.writeFile(content);
      await file.sync();
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  // The rename itself is durable only when the folder is.
  await withFile(await open(folder, 'r'), (file) => file.sync());
}

/** Undefined when there is no such file. */
export async function readFileIfAny(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function withFile(file: FileHandle, use: (file: FileHandle) => Promise<void>): Promise<void> {
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
