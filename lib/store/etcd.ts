/** The store kept by an etcd cluster, through etcd3's KV, Lease and Maintenance clients and our own watch. */
import type { Etcd3 } from 'etcd3';
import { GantryError } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import { type CallOptions, EtcdClient, type EtcdOptions, outOfSpace } from './etcd-client.ts';
import { keyValueOf, transactionResultOf, wireKey, wireList, wireTransaction } from './etcd-codec.ts';
import { etcdDatabases } from './etcd-databases.ts';
import { type EtcdMembers, etcdMembers } from './etcd-members.ts';
import { watchEtcd } from './etcd-watch.ts';
import {
  CompactedError,
  type Database,
  type GetResult,
  type KeyValue,
  type Lease,
  type ListOptions,
  type ListResult,
  leaseNotFoundError,
  type Store,
  type StoreStatus,
  type Transaction,
  type TransactionResult,
  type WatchBatch,
  type WatchOptions,
} from './store.ts';
import { checkKey, checkPrefix, checkTransaction, isWrite, readRevision } from './store-checks.ts';

export interface EtcdStoreOptions extends EtcdOptions {
  /** Must not exceed the server's --max-txn-ops. Default 128, etcd's own default. */
  readonly maxOperations?: number;
  /** Keys read by one call of a list. Default 1,000. */
  readonly pageSize?: number;
  readonly log?: Log;
}

/** A store, and what else an etcd cluster can be asked. */
export interface EtcdStore extends Store {
  readonly members: EtcdMembers;
  /** `host:port` of the members that are asked, and others from now on. */
  readonly endpoints: readonly string[];
  setEndpoints(endpoints: readonly string[]): void;
}

/** Connects lazily: the first call finds out whether etcd is there. */
export function createEtcdStore(options: EtcdStoreOptions): EtcdStore {
  return new StoreOfEtcd(options);
}

/** A list whose revision was compacted between two pages begins again this often. */
const listAttempts = 3;

class StoreOfEtcd implements EtcdStore {
  readonly members: EtcdMembers;
  readonly #client: EtcdClient;
  readonly #options: EtcdStoreOptions;
  readonly #closing = new AbortController();

  constructor(options: EtcdStoreOptions) {
    this.#options = options;
    this.#client = new EtcdClient(options);
    this.members = etcdMembers(this.#client);
  }

  get endpoints(): readonly string[] {
    return this.#client.endpoints;
  }

  setEndpoints(endpoints: readonly string[]): void {
    this.#client.setEndpoints(endpoints);
  }

  async get(key: string, options: { readonly revision?: bigint } = {}): Promise<GetResult> {
    checkKey(key);
    const revision = readRevision(options);
    const response = await this.#client.call({ write: false, revision }, (client, callOptions) =>
      client.kv.range({ key: wireKey(key), revision: revision.toString() }, callOptions),
    );
    const kv = response.kvs[0];
    return { ...(kv && { kv: keyValueOf(kv) }), revision: BigInt(response.header.revision) };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    checkPrefix(prefix);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#listOnce(prefix, options);
      } catch (error) {
        const mayRepeat = !options.revision && attempt < listAttempts;
        if (!(error instanceof CompactedError && mayRepeat)) throw error;
      }
    }
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    checkTransaction(transaction, this.#options.maxOperations ?? 128);
    const operations = [...transaction.success, ...(transaction.failure ?? [])];
    const lease = operations.find((operation) => operation.kind === 'put' && operation.lease) as
      | { lease: string }
      | undefined;
    const request = wireTransaction(transaction);
    const intent = { write: operations.some(isWrite), ...(lease && { lease: lease.lease }) };
    const response = await this.#client.call(intent, (client, callOptions) => client.kv.txn(request, callOptions));
    return transactionResultOf(response);
  }

  watch(prefix: string, options: WatchOptions): AsyncIterable<WatchBatch> {
    checkPrefix(prefix);
    return watchEtcd({
      client: this.#client,
      clock: this.#options.clock,
      log: this.#options.log ?? silentLog,
      closing: this.#closing.signal,
      prefix,
      ...options,
    });
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    // Repeating is harmless, here and below: a lease nobody knows of expires, revoking and compacting are idempotent.
    const response = await this.#client.call({ write: false }, (client, callOptions) =>
      client.leaseClient.leaseGrant({ TTL: Math.ceil(ttlMs / 1000) }, callOptions),
    );
    return { id: response.ID, ttlMs: Number(response.TTL) * 1000 };
  }

  async keepAliveLease(id: string): Promise<number> {
    const seconds = await this.#client.call({ write: false, lease: id }, (client, callOptions) =>
      keepAliveOnce(client, id, callOptions),
    );
    if (seconds <= 0) throw leaseNotFoundError(id);
    return seconds * 1000;
  }

  async revokeLease(id: string): Promise<void> {
    try {
      await this.#client.call({ write: false, lease: id }, (client, callOptions) =>
        client.leaseClient.leaseRevoke({ ID: id }, callOptions),
      );
    } catch (error) {
      if (!(error instanceof GantryError && error.code === 'notFound')) throw error;
    }
  }

  async compact(revision: bigint): Promise<void> {
    try {
      await this.#client.call({ write: false, revision }, (client, callOptions) =>
        client.kv.compact({ revision: revision.toString() }, callOptions),
      );
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error;
    }
  }

  async status(): Promise<StoreStatus> {
    const intent = { write: false };
    const status = await this.#client.call(intent, (client, callOptions) => client.maintenance.status(callOptions));
    const { alarms } = await this.#client.call(intent, (client, callOptions) =>
      client.maintenance.alarm({ action: 'Get' }, callOptions),
    );
    const problems = alarms.map(({ alarm }) =>
      String(alarm) === 'Nospace' ? outOfSpace : `etcd has raised the alarm ${alarm}; see its log`,
    );
    return {
      revision: BigInt(status.header.revision),
      databaseSizeBytes: Number(status.dbSize),
      ...(problems[0] !== undefined && { problem: problems[0] }),
    };
  }

  databases(): Promise<readonly Database[]> {
    return etcdDatabases(this.#client);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#client.close();
  }

  async #listOnce(prefix: string, options: ListOptions): Promise<ListResult> {
    const { keysOnly = false } = options;
    const limit = options.limit || Number.POSITIVE_INFINITY;
    const items: KeyValue[] = [];
    let revision = readRevision(options);
    let startAfter = options.startAfter ?? '';
    for (;;) {
      const pageLimit = Math.min(this.#options.pageSize ?? 1000, limit - items.length);
      const request = wireList(prefix, { revision, startAfter, limit: pageLimit, keysOnly });
      const page = await this.#client.call({ write: false, revision }, (client, callOptions) =>
        client.kv.range(request, callOptions),
      );
      if (revision === 0n) revision = BigInt(page.header.revision);
      for (const kv of page.kvs) items.push(keyValueOf(kv));
      if (!page.more || items.length >= limit) return { items, revision, more: page.more };
      startAfter = items.at(-1)!.key;
    }
  }
}

/** One question and one answer on a stream of their own. Resolves with the seconds left, 0 or less when none. */
async function keepAliveOnce(client: Etcd3, id: string, options: CallOptions): Promise<number> {
  const stream = await client.leaseClient.leaseKeepAlive(options);
  return new Promise((resolve, reject) => {
    stream.on('data', (response) => {
      resolve(Number(response.TTL));
      stream.end();
    });
    stream.on('error', reject);
    stream.on('end', () => reject(new Error('14 UNAVAILABLE: the keep-alive stream ended without an answer')));
    stream.write({ ID: id });
  });
}
