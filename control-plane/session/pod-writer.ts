/**
 * Makes what agents report about pods durable. Reports of all nodes share transactions: while some are on their way,
 * what comes meanwhile is gathered for the next. A transaction that loses a race is planned again from what the store
 * answers; what loses twice is read afresh and written alone.
 */
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { allocationKeysOf } from '../../lib/model/allocations.ts';
import { keyOf, objectKey } from '../../lib/model/keys.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { type Compare, deleteOf, modRevisionIs, type Operation, putOf, type Store } from '../../lib/store/store.ts';
import type { Pod, PodStatusUpdate } from '../../proto/gen/types.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import type { Snapshot } from '../state/snapshot.ts';
import type { FencedWriter } from './fenced-write.ts';
import { planPodUpdate } from './status-plan.ts';

export interface PodWriterDependencies {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly snapshot: Snapshot;
  readonly log: Log;
}

/** Two operations a pod at most, and etcd takes 128 a transaction, the fence among them. */
const podsPerTransaction = 50;
const transactionsAtOnce = 4;
const attempts = 10;

interface Report {
  readonly nodeName: string;
  readonly update: PodStatusUpdate;
  readonly key: string;
  readonly done: (error?: unknown) => void;
}

interface Write {
  readonly report: Report;
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
}

export class PodWriter {
  readonly #writer: FencedWriter;
  readonly #dependencies: PodWriterDependencies;
  #waiting: Report[] = [];
  #transactions = 0;
  readonly #underWay = new Set<string>();

  constructor(writer: FencedWriter, dependencies: PodWriterDependencies) {
    this.#writer = writer;
    this.#dependencies = dependencies;
  }

  /** Resolves when every update is stored or has been found to be of no effect. */
  write(nodeName: string, updates: readonly PodStatusUpdate[]): Promise<void> {
    if (updates.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let left = updates.length;
      const done = (error?: unknown): void => {
        left -= 1;
        if (error !== undefined) reject(error);
        else if (left === 0) resolve();
      };
      for (const update of updates) {
        const key = objectKey('Pod', update.namespace, update.name ?? '');
        this.#waiting.push({ nodeName, update, key, done });
      }
      this.#begin();
    });
  }

  #begin(): void {
    while (this.#transactions < transactionsAtOnce) {
      const reports = this.#takeNext();
      if (reports.length === 0) return;
      this.#transactions += 1;
      for (const { key } of reports) this.#underWay.add(key);
      void this.#settle(reports).finally(() => {
        this.#transactions -= 1;
        for (const { key } of reports) this.#underWay.delete(key);
        this.#begin();
      });
    }
  }

  /** In the order in which they came; of a pod one at a time. */
  #takeNext(): Report[] {
    const taken = new Map<string, Report>();
    const left: Report[] = [];
    for (const report of this.#waiting) {
      const waits = taken.size >= podsPerTransaction || taken.has(report.key) || this.#underWay.has(report.key);
      if (waits) left.push(report);
      else taken.set(report.key, report);
    }
    this.#waiting = left;
    return [...taken.values()];
  }

  async #settle(reports: readonly Report[]): Promise<void> {
    const left = new Set(reports);
    try {
      for (const report of await this.#writeTogether(reports, left)) {
        await this.#writer.persist(() => writeAlone(report, this.#writer, this.#dependencies));
        left.delete(report);
        report.done();
      }
    } catch (error) {
      for (const report of left) report.done(error);
    }
  }

  /** Returns those that must be looked at one by one; tells the others that they are done, and takes them from `left`. */
  async #writeTogether(reports: readonly Report[], left: Set<Report>): Promise<readonly Report[]> {
    const { snapshot } = this.#dependencies;
    const stored = new Map(
      reports.map((report): [Report, Pod | undefined] => {
        const { namespace, name = '' } = report.update;
        return [report, snapshot.get('Pod', namespace, name)];
      }),
    );
    // What the snapshot has not seen yet, or has seen end already, the store itself must tell.
    const isKnown = (report: Report): boolean => stored.get(report)?.metadata.uid === report.update.uid;
    const known = reports.filter(isKnown);
    const doubtful = reports.filter((report) => !isKnown(report));
    const finish = (finished: readonly Report[]): void => {
      for (const report of finished) {
        left.delete(report);
        report.done();
      }
    };
    let outcome = await this.#tryWrite(known, stored);
    if (typeof outcome === 'object') outcome = await this.#tryWrite(known, outcome);
    if (outcome === 'written') finish(known);
    else doubtful.push(...known);
    return doubtful;
  }

  /** What is stored instead, when that lost a race; 'unknown' when the store could not say. */
  async #tryWrite(
    reports: readonly Report[],
    stored: ReadonlyMap<Report, Pod | undefined>,
  ): Promise<'written' | 'unknown' | ReadonlyMap<Report, Pod | undefined>> {
    const { codec } = this.#dependencies;
    const writes = reports.flatMap((report) => planWrite(report, stored.get(report), this.#dependencies) ?? []);
    if (writes.length === 0) return 'written';
    try {
      const found = await this.#writer.writeOrRead(
        writes.flatMap(({ compare }) => compare),
        writes.flatMap(({ success }) => success),
        writes.map(({ report }) => report.key),
      );
      if (!found) return 'written';
      const read = new Map(stored);
      for (const { report } of writes) {
        const kv = found.get(report.key);
        read.set(report, kv && (codec.decode(report.key, kv.value, kv.modRevision) as Pod));
      }
      return read;
    } catch (error) {
      if (error instanceof GantryError && error.code !== 'failedPrecondition') return 'unknown';
      throw error;
    }
  }
}

async function writeAlone(report: Report, writer: FencedWriter, dependencies: PodWriterDependencies): Promise<void> {
  const { store, codec } = dependencies;
  const { key, update } = report;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { kv } = await store.get(key);
    const stored = kv && (codec.decode(key, kv.value, kv.modRevision) as Pod);
    const planned = planWrite(report, stored, dependencies);
    if (!planned) return;
    if (await writer.write(planned.compare, planned.success)) return;
  }
  throw new GantryError('aborted', `pod ${update.namespace}/${update.name} is being written by many; report it again`);
}

function planWrite(report: Report, stored: Pod | undefined, { codec, log }: PodWriterDependencies): Write | undefined {
  const { nodeName, update } = report;
  const plan = planPodUpdate(stored, update, nodeName);
  if (plan.type === 'ignore') {
    const { namespace, name, uid, removed } = update;
    log.debug({ node: nodeName, namespace, name, uid, removed, reason: plan.reason }, 'a status update has no effect');
    return undefined;
  }
  const key = keyOf(plan.pod);
  const compare = [modRevisionIs(key, revisionOf(plan.pod))];
  if (plan.type === 'put') return { report, compare, success: [putOf(key, codec.encode(plan.pod))] };
  // The object and its address go together: an address is free only when nothing uses it any more.
  return { report, compare, success: [key, ...allocationKeysOf(plan.pod)].map(deleteOf) };
}
