import type { KeyValue } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { ObjectCodec } from './object-codec.ts';

/**
 * A value of the store that is known as an object. It becomes bytes when somebody wants them, which few do: thousands of
 * such values are kept for watchers, and what is kept of bytes is kept outside the heap, one by one.
 */
export class KnownValue implements KeyValue {
  readonly key: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  readonly version: bigint;
  readonly lease: string;
  readonly object: KubeObject;
  readonly #codec: ObjectCodec;
  #value: Uint8Array | undefined;
  /** Undefined: nobody has counted them. */
  #bytes: number | undefined;

  constructor(kv: KeyValue, object: KubeObject, codec: ObjectCodec, bytes?: number) {
    this.key = kv.key;
    this.createRevision = kv.createRevision;
    this.modRevision = kv.modRevision;
    this.version = kv.version;
    this.lease = kv.lease;
    this.object = object;
    this.#codec = codec;
    this.#value = undefined;
    this.#bytes = bytes;
  }

  get value(): Uint8Array {
    this.#value ??= this.#codec.encode(this.object);
    return this.#value;
  }

  /** Its size in the store. */
  get bytes(): number {
    this.#bytes ??= this.value.length;
    return this.#bytes;
  }
}

/** Without making any. */
export function bytesOf(kv: KeyValue): number {
  return kv instanceof KnownValue ? kv.bytes : kv.value.length;
}
