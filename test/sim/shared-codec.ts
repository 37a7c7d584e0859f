/**
 * What one replica has read no other needs to read again: the same bytes of the same revision are the same object. It is
 * frozen, so that nobody can change what is the others', too.
 */
import type { ObjectCodec } from '../../control-plane/state/object-codec.ts';
import type { KubeObject } from '../../proto/gen/types.ts';

export function sharedCodec(codec: ObjectCodec): ObjectCodec {
  const read = new WeakMap<Uint8Array, KubeObject | undefined>();
  return {
    encode: (object) => codec.encode(object),
    // The store never hands the bytes of one key and revision out as another's.
    decode(key, value, revision) {
      if (read.has(value)) return read.get(value);
      const object = codec.decode(key, value, revision);
      read.set(value, object && frozen(object));
      return object;
    },
  };
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}
