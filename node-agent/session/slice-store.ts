/**
 * The agent's copy of its part of the cluster, in memory and in the file `<data-dir>/slice`: a checksum (SHA-256) and
 * the message gantry.v1.Slice. It is read once, at the start; from then on memory is ahead of the file by at most one
 * write. A file that cannot be read counts as absent: the next session brings a complete slice.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { decodeMessage, encodeMessage, toEnvelope } from '../../lib/model/codec.ts';
import { objectKey } from '../../lib/model/keys.ts';
import type { Kind } from '../../lib/model/schema.ts';
import { readFileIfAny, writeFileAtomic } from '../../lib/pki/files.ts';
import type { KindMap, Slice } from '../../proto/gen/types.ts';
import type { SliceChange, SliceReader } from './slice.ts';
import { applySlice, type SliceObjects } from './slice-state.ts';

export interface SliceStore extends SliceReader {
  apply(slice: Slice): void;
  /** Resolves when what has been applied so far is on disk (or could not be written, which is logged). */
  flush(): Promise<void>;
}

/** Where the file is; the machine's disk unless a simulation has one of its own. */
export interface SliceDisk {
  /** Undefined when there is no such file. */
  read(file: string): Promise<Uint8Array | undefined>;
  /** The whole file or nothing of it. */
  write(file: string, content: Uint8Array): Promise<void>;
}

const machineDisk: SliceDisk = { read: readFileIfAny, write: writeFileAtomic };

export interface SliceStoreOptions {
  readonly file: string;
  readonly disk?: SliceDisk;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes within this long share one write. */
const writeDelayMs = 200;
const checksumBytes = 32;

/** Reads the file; never fails because of what is in it. */
export async function openSliceStore(options: SliceStoreOptions): Promise<SliceStore> {
  const store = new FileSliceStore(options);
  const stored = await readStored(options);
  if (stored) store.restore(stored);
  return store;
}

class FileSliceStore implements SliceStore {
  #objects: SliceObjects = new Map();
  #byKind = new Map<Kind, readonly KindMap[Kind][]>();
  #revision: string | undefined;
  #changed = false;
  #writing: Promise<void> | undefined;
  #saved: Promise<void> = Promise.resolve();
  readonly #listeners = new Set<(change: SliceChange) => void>();
  readonly #options: SliceStoreOptions;

  constructor(options: SliceStoreOptions) {
    this.#options = options;
  }

  get revision(): string | undefined {
    return this.#revision;
  }

  get<K extends Kind>(kind: K, namespace: string | undefined, name: string): KindMap[K] | undefined {
    return this.#objects.get(objectKey(kind, namespace, name)) as KindMap[K] | undefined;
  }

  list<K extends Kind>(kind: K): readonly KindMap[K][] {
    let found = this.#byKind.get(kind);
    if (!found) {
      found = [...this.#objects.values()].filter((object) => object.kind === kind);
      this.#byKind.set(kind, found);
    }
    return found as readonly KindMap[K][];
  }

  onChange(callback: (change: SliceChange) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  restore(slice: Slice): void {
    this.#take(slice);
  }

  apply(slice: Slice): void {
    const change = this.#take(slice);
    this.#changed = true;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    // A complete one that holds nothing new proves that what it lacks is gone.
    if (change.kinds.size > 0 || slice.complete) for (const listener of [...this.#listeners]) listener(change);
  }

  async flush(): Promise<void> {
    await this.#save();
  }

  #take(slice: Slice): SliceChange {
    const { objects, change } = applySlice(this.#objects, slice);
    this.#objects = objects;
    this.#byKind = new Map();
    this.#revision = slice.revision ?? this.#revision;
    return change;
  }

  async #write(): Promise<void> {
    while (this.#changed) {
      await this.#options.clock.sleep(writeDelayMs);
      await this.#save();
    }
  }

  /** One after another, so that an older copy never lands on a newer one. */
  #save(): Promise<void> {
    this.#saved = this.#saved.then(() => this.#saveNow());
    return this.#saved;
  }

  async #saveNow(): Promise<void> {
    if (!this.#changed) return;
    this.#changed = false;
    const { file, disk = machineDisk, log } = this.#options;
    try {
      await disk.write(file, this.#encode());
    } catch (error) {
      log.error(
        { file, error: messageOf(error) },
        'the slice was not written; after a restart the agent knows an older one',
      );
    }
  }

  #encode(): Uint8Array {
    const slice: Slice = {
      complete: true,
      objects: [...this.#objects.values()].map(toEnvelope),
      ...(this.#revision !== undefined && { revision: this.#revision }),
    };
    const body = encodeMessage('Slice', slice);
    return Buffer.concat([checksum(body), body]);
  }
}

async function readStored({ file, disk = machineDisk, log }: SliceStoreOptions): Promise<Slice | undefined> {
  try {
    const bytes = await disk.read(file);
    if (!bytes) return undefined;
    const body = bytes.subarray(checksumBytes);
    if (checksum(body).equals(bytes.subarray(0, checksumBytes))) return decodeMessage<Slice>('Slice', body);
    log.error({ file }, 'the stored slice is damaged and is ignored; the control plane sends a new one');
  } catch (error) {
    log.error({ file, error: messageOf(error) }, 'the stored slice cannot be read and is ignored');
  }
  return undefined;
}

function checksum(body: Uint8Array): Buffer {
  return createHash('sha256').update(body).digest();
}
