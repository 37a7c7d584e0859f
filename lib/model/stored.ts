/**
 * Objects to and from the store's bytes. Everyone who reads or writes objects in the store goes through here: Secrets
 * are sealed (lib/model/sealed.ts), all others are plain protobuf.
 */
import type { KubeObject } from '../../proto/gen/types.ts';
import { assert } from '../errors.ts';
import { decodeObject, encodeObject } from './codec.ts';
import { keyOf, parseKey } from './keys.ts';
import { type Keyring, openObject, sealObject } from './sealed.ts';

export type { Keyring } from './sealed.ts';
export { createKeyring } from './sealed.ts';

/** The value for `keyOf(object)`. */
export function encodeStored(object: KubeObject, keyring: Keyring): Uint8Array {
  const bytes = encodeObject(object);
  return object.kind === 'Secret' ? sealObject(keyOf(object), bytes, keyring) : bytes;
}

/** `key` must be that of an object (`parseKey` knows). `resourceVersion` becomes `modRevision`. */
export function decodeStored(key: string, bytes: Uint8Array, modRevision: bigint, keyring: Keyring): KubeObject {
  const parsed = parseKey(key);
  assert(parsed !== undefined, `${key} is the key of an object`);
  const plain = parsed.kind === 'Secret' ? openObject(key, bytes, keyring) : bytes;
  return decodeObject(parsed.kind, plain, modRevision);
}
