/** etcd's wire forms and ours. Pure. Wire 64-bit integers are decimal strings, as etcd3 loads its proto. */
import type { ICompare, IKeyValue, IRangeRequest, IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3';
import type {
  Compare,
  CompareOperator,
  KeyValue,
  Operation,
  OperationResult,
  Transaction,
  TransactionResult,
  WatchEvent,
} from './store.ts';

/** An event as the proto loader hands it out. */
export interface WireEvent {
  readonly type: 'Put' | 'Delete';
  readonly kv: IKeyValue;
  readonly prev_kv?: IKeyValue | null;
}

/** Keys are ASCII (see store.ts), one byte a character. */
export const wireKey = (key: string): Buffer => Buffer.from(key, 'latin1');
const keyOf = (key: Buffer): string => key.toString('latin1');
/** A view, not a copy. */
const wireBytes = (value: Uint8Array): Buffer => Buffer.from(value.buffer, value.byteOffset, value.byteLength);
/** A copy: a view would keep the whole message that it came in, with all its other keys, for as long as itself. */
const bytesOf = (value: Buffer): Uint8Array => new Uint8Array(value);

const everything = Buffer.from([0]);

/** The half-open range that holds exactly the keys with the prefix and after `startAfter`. */
export function wireRange(prefix: string, startAfter = ''): { key: Buffer; range_end: Buffer } {
  const start = startAfter >= prefix && startAfter !== '' ? wireKey(`${startAfter}\0`) : wireKey(prefix);
  return { key: start.length === 0 ? everything : start, range_end: rangeEnd(prefix) };
}

/** The first key after all keys with the prefix; etcd reads '\0' as "no end". */
function rangeEnd(prefix: string): Buffer {
  if (prefix === '') return everything;
  const end = wireKey(prefix);
  end[end.length - 1]! += 1; // a key holds no byte above 0x7e
  return end;
}

export function keyValueOf(wire: IKeyValue): KeyValue {
  return {
    key: keyOf(wire.key),
    value: bytesOf(wire.value),
    createRevision: BigInt(wire.create_revision),
    modRevision: BigInt(wire.mod_revision),
    version: BigInt(wire.version),
    lease: wire.lease === '0' ? '' : wire.lease,
  };
}

export function watchEventOf(wire: WireEvent): WatchEvent {
  const previous = wire.prev_kv ? { previous: keyValueOf(wire.prev_kv) } : {};
  if (wire.type === 'Put') {
    const kv = keyValueOf(wire.kv);
    return { type: 'put', key: kv.key, kv, ...previous, modRevision: kv.modRevision };
  }
  return { type: 'delete', key: keyOf(wire.kv.key), ...previous, modRevision: BigInt(wire.kv.mod_revision) };
}

const wireOperators = { '=': 'Equal', '!=': 'NotEqual', '<': 'Less', '>': 'Greater' } as const satisfies Record<
  CompareOperator,
  ICompare['result']
>;

function wireCompare(compare: Compare): ICompare {
  const common = { key: wireKey(compare.key), result: wireOperators[compare.operator] };
  switch (compare.target) {
    case 'value':
      return { ...common, target: 'Value', value: wireBytes(compare.value) };
    case 'mod':
      return { ...common, target: 'Mod', mod_revision: compare.value.toString() };
    case 'create':
      return { ...common, target: 'Create', create_revision: compare.value.toString() };
    case 'version':
      return { ...common, target: 'Version', version: compare.value.toString() };
  }
}

function wireOperation(operation: Operation): IRequestOp {
  switch (operation.kind) {
    case 'put': {
      const { key, value, lease } = operation;
      return { request_put: { key: wireKey(key), value: wireBytes(value), ...(lease && { lease }) } };
    }
    case 'delete':
      return { request_delete_range: { key: wireKey(operation.key) } };
    case 'deletePrefix':
      return { request_delete_range: wireRange(operation.prefix) };
    case 'get':
      return { request_range: { key: wireKey(operation.key) } };
  }
}

export function wireTransaction({ compare, success, failure = [] }: Transaction): ITxnRequest {
  return {
    compare: compare.map(wireCompare),
    success: success.map(wireOperation),
    failure: failure.map(wireOperation),
  };
}

export function transactionResultOf(wire: ITxnResponse): TransactionResult {
  return {
    succeeded: wire.succeeded,
    revision: BigInt(wire.header.revision),
    responses: wire.responses.map((response): OperationResult => {
      if (response.response_put) return { kind: 'put' };
      if (response.response_delete_range) {
        return { kind: 'delete', deleted: Number(response.response_delete_range.deleted) };
      }
      const kv = response.response_range?.kvs[0];
      return { kind: 'get', ...(kv && { kv: keyValueOf(kv) }) };
    }),
  };
}

export function wireList(
  prefix: string,
  options: { revision: bigint; limit: number; startAfter: string; keysOnly: boolean },
): IRangeRequest {
  return {
    ...wireRange(prefix, options.startAfter),
    revision: options.revision.toString(),
    limit: options.limit,
    keys_only: options.keysOnly,
  };
}
