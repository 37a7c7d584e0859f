/**
 * The memory twin's data: every version of every key since the last compaction, and the events of each revision.
 * Synchronous and without effects; `memory.ts` adds leases, watches and promises.
 */
import { firstWhere } from '../binary-search.ts';
import type { Compare, CompareOperator, KeyValue, Operation, OperationResult, WatchEvent } from './store.ts';
import { CompactedError, futureRevisionError } from './store.ts';

interface Version {
  readonly revision: bigint;
  /** Absent: the key was deleted at this revision. */
  readonly kv?: KeyValue;
}

export interface Applied {
  readonly revision: bigint;
  readonly responses: OperationResult[];
  readonly events: readonly WatchEvent[];
}

export class History {
  /** etcd's store begins at revision 1, too. */
  revision = 1n;
  compactRevision = 0n;
  /** Every key with a version, sorted. */
  readonly #keys: string[] = [];
  readonly #versions = new Map<string, Version[]>();
  /** The events of revision `compactRevision + 1` and on, one entry a revision. */
  #log: (readonly WatchEvent[])[] = [[]];

  get(key: string, revision = this.revision): KeyValue | undefined {
    const versions = this.#versions.get(key);
    if (!versions) return undefined;
    for (let index = versions.length - 1; index >= 0; index -= 1) {
      const version = versions[index]!;
      if (version.revision <= revision) return version.kv;
    }
    return undefined;
  }

  /** Live keys with the prefix in order, lazily. */
  *range(prefix: string, startAfter: string, revision = this.revision): Generator<KeyValue> {
    for (let index = this.#lowerBound(prefix > startAfter ? prefix : startAfter); ; index += 1) {
      const key = this.#keys[index];
      if (key === undefined || !key.startsWith(prefix)) return;
      const kv = key === startAfter ? undefined : this.get(key, revision);
      if (kv) yield kv;
    }
  }

  /** Throws unless `revision` can be read. */
  checkRevision(revision: bigint): void {
    if (revision > this.revision) throw futureRevisionError(revision);
    if (revision < this.compactRevision) throw new CompactedError(revision, this.compactRevision);
  }

  holds(compare: Compare): boolean {
    const kv = this.get(compare.key);
    if (compare.target === 'value') {
      return kv !== undefined && ordered(Buffer.compare(kv.value, compare.value), compare.operator);
    }
    const actual = kv ? { mod: kv.modRevision, create: kv.createRevision, version: kv.version }[compare.target] : 0n;
    return ordered(actual < compare.value ? -1 : actual > compare.value ? 1 : 0, compare.operator);
  }

  /** Applies checked operations as one revision; a list that changes nothing takes none. */
  apply(operations: readonly Operation[]): Applied {
    const next = this.revision + 1n;
    const events: WatchEvent[] = [];
    const responses = operations.map((operation) => this.#applyOne(operation, next, events));
    if (events.length > 0) {
      this.revision = next;
      this.#log.push(events);
    }
    return { revision: this.revision, responses, events };
  }

  /** Events of keys with the prefix from `fromRevision` on, of at most `maxRevisions` revisions that have any. */
  eventsFrom(prefix: string, fromRevision: bigint, maxRevisions: number): WatchEvent[] {
    const events: WatchEvent[] = [];
    let revisions = 0;
    const first = Number(fromRevision - this.compactRevision - 1n);
    for (let index = first; index < this.#log.length && revisions < maxRevisions; index += 1) {
      const matching = this.#log[index]!.filter((event) => event.key.startsWith(prefix));
      if (matching.length > 0) revisions += 1;
      events.push(...matching);
    }
    return events;
  }

  compact(revision: bigint): void {
    if (revision > this.revision) throw futureRevisionError(revision);
    if (revision <= this.compactRevision) return;
    this.#log = this.#log.slice(Number(revision - this.compactRevision));
    this.compactRevision = revision;
    let kept = 0;
    for (const key of this.#keys) {
      const versions = afterCompaction(this.#versions.get(key)!, revision);
      if (versions.length === 0) {
        this.#versions.delete(key);
      } else {
        this.#versions.set(key, versions);
        this.#keys[kept] = key;
        kept += 1;
      }
    }
    this.#keys.length = kept;
  }

  sizeBytes(): number {
    let size = 0;
    for (const [key, versions] of this.#versions) {
      for (const { kv } of versions) size += key.length + (kv?.value.length ?? 0);
    }
    return size;
  }

  #applyOne(operation: Operation, revision: bigint, events: WatchEvent[]): OperationResult {
    switch (operation.kind) {
      case 'get': {
        const kv = this.get(operation.key, revision);
        return { kind: 'get', ...(kv && { kv }) };
      }
      case 'put':
        this.#put(operation.key, operation.value, operation.lease ?? '', revision, events);
        return { kind: 'put' };
      case 'delete': {
        const kv = this.get(operation.key, revision);
        if (kv) this.#delete(kv, revision, events);
        return { kind: 'delete', deleted: kv ? 1 : 0 };
      }
      case 'deletePrefix': {
        const doomed = [...this.range(operation.prefix, '', revision)];
        for (const kv of doomed) this.#delete(kv, revision, events);
        return { kind: 'delete', deleted: doomed.length };
      }
    }
  }

  #put(key: string, value: Uint8Array, lease: string, revision: bigint, events: WatchEvent[]): void {
    const previous = this.get(key, revision);
    const kv: KeyValue = {
      key,
      value: new Uint8Array(value), // a copy: the caller may go on writing into its own
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      version: (previous?.version ?? 0n) + 1n,
      lease,
    };
    this.#record(key, { revision, kv });
    events.push({ type: 'put', key, kv, ...(previous && { previous }), modRevision: revision });
  }

  #delete(previous: KeyValue, revision: bigint, events: WatchEvent[]): void {
    this.#record(previous.key, { revision });
    events.push({ type: 'delete', key: previous.key, previous, modRevision: revision });
  }

  #record(key: string, version: Version): void {
    const versions = this.#versions.get(key);
    if (versions) {
      versions.push(version);
    } else {
      this.#versions.set(key, [version]);
      this.#keys.splice(this.#lowerBound(key), 0, key);
    }
  }

  /** The index of the first key that is not before `key`. */
  #lowerBound(key: string): number {
    return firstWhere(this.#keys.length, (position) => this.#keys[position]! >= key);
  }
}

/** Keeps what is newer, and of the older only the last one, unless that is a deletion. */
function afterCompaction(versions: readonly Version[], revision: bigint): Version[] {
  const newer = versions.filter((version) => version.revision > revision);
  const last = versions.findLast((version) => version.revision <= revision);
  return last?.kv ? [last, ...newer] : newer;
}

function ordered(order: number, operator: CompareOperator): boolean {
  switch (operator) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '>':
      return order > 0;
  }
}
