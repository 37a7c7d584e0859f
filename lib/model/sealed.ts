/**
 * Secrets at rest: AES-256-GCM over the stored bytes, with the store key as additional data, so that one Secret's bytes
 * cannot be passed off as another's. Layout: 0x00 (no protobuf message begins so), version 1, key id (4 bytes),
 * nonce (12), tag (16), ciphertext.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { GantryError } from '../errors.ts';
import type { Random } from '../random.ts';

export interface Keyring {
  /** New writes are sealed with the first key; all are tried by id for reading, so that a key can be rotated. */
  readonly keys: readonly SealingKey[];
  /** For nonces. */
  readonly random: Random;
}

export interface SealingKey {
  /** The first four bytes of the key's SHA-256, in hex. */
  readonly id: string;
  readonly key: Uint8Array;
}

const version = 1;
const headerBytes = 6;
const nonceBytes = 12;
const tagBytes = 16;

/** `key` and `olderKeys` are 32 bytes each. */
export function createKeyring(key: Uint8Array, random: Random, olderKeys: readonly Uint8Array[] = []): Keyring {
  const keys = [key, ...olderKeys].map((bytes) => {
    if (bytes.length !== 32) {
      throw new GantryError('invalidArgument', `a sealing key must have 32 bytes, this one has ${bytes.length}`);
    }
    return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), key: bytes };
  });
  return { keys, random };
}

export function sealObject(storeKey: string, bytes: Uint8Array, keyring: Keyring): Uint8Array {
  const { id, key } = keyring.keys[0]!;
  const nonce = keyring.random.bytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(storeKey));
  const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
  return Buffer.concat([Buffer.from([0, version]), Buffer.from(id, 'hex'), nonce, cipher.getAuthTag(), body]);
}

/** dataLoss when the bytes are not sealed, sealed with an unknown key, or not what was sealed under this store key. */
export function openObject(storeKey: string, sealed: Uint8Array, keyring: Keyring): Uint8Array {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < headerBytes + nonceBytes + tagBytes || bytes[0] !== 0 || bytes[1] !== version) {
    throw new GantryError('dataLoss', `${storeKey} is not sealed as a Secret must be; delete it and create it again`);
  }
  const id = bytes.subarray(2, headerBytes).toString('hex');
  const key = keyring.keys.find((candidate) => candidate.id === id)?.key;
  if (!key) {
    throw new GantryError(
      'dataLoss',
      `${storeKey} is sealed with key ${id}, which is not here; give the control plane that key`,
    );
  }
  const nonce = bytes.subarray(headerBytes, headerBytes + nonceBytes);
  const tag = bytes.subarray(headerBytes + nonceBytes, headerBytes + nonceBytes + tagBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(storeKey)).setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(bytes.subarray(headerBytes + nonceBytes + tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new GantryError('dataLoss', `${storeKey} was altered in the store; delete it and create it again`, { cause });
  }
}
