/** How objects become the store's bytes and back; injected so that only the wiring knows the key that seals Secrets. */
import { decodeObject, encodeObject } from '../../lib/model/codec.ts';
import { parseKey } from '../../lib/model/keys.ts';
import { decodeStored, encodeStored, type Keyring } from '../../lib/model/stored.ts';
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

/** Secrets sealed by the keyring. */
export function sealedCodec(keyring: Keyring): ObjectCodec {
  return {
    encode: (object) => encodeStored(object, keyring),
    decode: (key, value, modRevision) =>
      parseKey(key) === undefined ? undefined : decodeStored(key, value, modRevision, keyring),
  };
}
