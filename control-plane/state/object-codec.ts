/** How objects become the store's bytes and back; injected so that the seal of Secrets stays in one place. */
import { decodeObject, encodeObject } from '../../lib/model/codec.ts';
import { parseKey } from '../../lib/model/keys.ts';
import type { KubeObject } from '../../proto/gen/types.ts';

export interface ObjectCodec {
  encode(object: KubeObject): Uint8Array;
  /** Undefined for keys that are not objects (leader, tokens, allocations). Throws on bytes that cannot be read. */
  decode(key: string, value: Uint8Array, modRevision: bigint): KubeObject | undefined;
}

/** Without encryption: for tests. */
export const plainCodec: ObjectCodec = {
  encode: encodeObject,
  decode(key, value, modRevision) {
    const parsed = parseKey(key);
    return parsed && decodeObject(parsed.kind, value, modRevision);
  },
};
