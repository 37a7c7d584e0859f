/** Objects at rest: what goes in comes out, and Secrets only under their own key with the right sealing key. */
import { describe, expect, it } from 'vitest';
import { isGantryError } from '../../../../lib/errors.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { createKeyring, decodeStored, encodeStored } from '../../../../lib/model/stored.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { ConfigMap, Secret } from '../../../../proto/gen/types.ts';

const random = seededRandom(1);
const oldKey = new Uint8Array(32).fill(1);
const newKey = new Uint8Array(32).fill(2);
const keyring = createKeyring(oldKey, random);
const secret: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's', namespace: 'default' },
  data: { password: Buffer.from('hunter2').toString('base64') },
};
const isLoss = (error: unknown): boolean => isGantryError(error, 'dataLoss');

describe('stored objects', () => {
  it('come back as they were, with the revision', () => {
    const configMap: ConfigMap = { ...secret, kind: 'ConfigMap', data: { a: '1' } };
    for (const object of [configMap, secret]) {
      const read = decodeStored(keyOf(object), encodeStored(object, keyring), 7n, keyring);
      expect(read).toEqual({ ...object, metadata: { ...object.metadata, resourceVersion: '7' } });
    }
  });

  it('show nothing of a Secret, and never the same bytes twice', () => {
    const [one, two] = [encodeStored(secret, keyring), encodeStored(secret, keyring)];
    expect(Buffer.from(one).includes('hunter2')).toBe(false);
    expect(Buffer.compare(one, two)).not.toBe(0);
  });

  it('cannot be moved to another name, altered, or read without the key', () => {
    const bytes = encodeStored(secret, keyring);
    const key = keyOf(secret);
    expect(() => decodeStored('/gantry/secrets/default/other', bytes, 1n, keyring)).toThrow(/altered/);
    for (const position of [1, 3, 10, 20, bytes.length - 1]) {
      const altered = Uint8Array.from(bytes, (byte, index) => (index === position ? byte ^ 1 : byte));
      expect(() => decodeStored(key, altered, 1n, keyring)).toThrow();
    }
    const other = createKeyring(newKey, random);
    expect(() => decodeStored(key, bytes, 1n, other)).toThrow(/give the control plane that key/);
    for (const short of [new Uint8Array(), bytes.slice(0, 20), Buffer.from('{}')]) {
      try {
        decodeStored(key, short, 1n, keyring);
        expect.unreachable();
      } catch (error) {
        expect(isLoss(error)).toBe(true);
      }
    }
  });

  it('stay readable after a new key came before the old one', () => {
    const bytes = encodeStored(secret, keyring);
    const rotated = createKeyring(newKey, random, [oldKey]);
    expect(decodeStored(keyOf(secret), bytes, 1n, rotated)).toMatchObject({ data: secret.data! });
    expect(() => decodeStored(keyOf(secret), encodeStored(secret, rotated), 1n, keyring)).toThrow();
  });

  it('need a key of 32 bytes', () => {
    expect(() => createKeyring(new Uint8Array(16), random)).toThrow(/32 bytes, this one has 16/);
  });
});
