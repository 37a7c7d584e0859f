/**
 * What the runtime remembers, one JSON file per sandbox and per container below the agent's data folder.
 *
 * Invariant: a record is on disk before the side effect it announces, so whatever exists on the host has a record that
 * says how to undo it. Files are replaced by renaming: a reader, also after a crash, sees a whole one.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { ProcessIdentity } from './processes.ts';
import type { ContainerConfig, SandboxConfig } from './runtime.ts';

export interface SandboxRecord {
  readonly config: SandboxConfig;
  /** `creating`: whatever is found in its cgroup belongs to a start that was cut short. */
  readonly phase: 'creating' | 'created' | 'removing';
  readonly createdAtMs: number;
  readonly pause?: ProcessIdentity;
}

export interface ContainerRecord {
  readonly config: ContainerConfig;
  /**
   * `creating` and `removing` are intents: found at a start, the first is undone and the second finished. `failed`: the
   * command cannot be executed. `started` is written before the process is let go.
   */
  readonly phase: 'creating' | 'created' | 'started' | 'failed' | 'removing';
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  /** The first process. */
  readonly process?: ProcessIdentity;
  /** Its conmon. */
  readonly shim?: ProcessIdentity;
  /** Once seen: an exited container stays exited, whatever becomes of the files it was read from. */
  readonly exit?: ContainerExit;
}

export interface ContainerExit {
  readonly exitCode: number;
  readonly finishedAtMs: number;
  readonly oomKilled?: boolean;
  readonly message?: string;
}

export interface RecordStore<Record> {
  load(): Promise<ReadonlyMap<string, Record>>;
  save(id: string, record: Record): Promise<void>;
  /** Removes the whole folder of `id`. */
  remove(id: string): Promise<void>;
  dirOf(id: string): string;
}

const fileName = 'record.json';

/** Records below `dir`, each in a folder of its own named by its id. */
export function recordStore<Record>(dir: string): RecordStore<Record> {
  const dirOf = (id: string): string => `${dir}/${id}`;
  let writes = 0;
  return {
    dirOf,
    async load() {
      await mkdir(dir, { recursive: true });
      const records = new Map<string, Record>();
      for (const id of await readdir(dir)) {
        const text = await readFile(`${dirOf(id)}/${fileName}`, 'utf8').catch(() => '');
        if (text === '')
          await rm(dirOf(id), { recursive: true, force: true }); // crashed before the first save: nothing else was done
        else records.set(id, JSON.parse(text) as Record);
      }
      return records;
    },
    async save(id, record) {
      writes += 1;
      const temporary = `${dirOf(id)}/.${fileName}.${writes}`;
      await mkdir(dirOf(id), { recursive: true });
      await writeFile(temporary, JSON.stringify(record));
      await rename(temporary, `${dirOf(id)}/${fileName}`);
    },
    async remove(id) {
      await rm(dirOf(id), { recursive: true, force: true });
    },
  };
}
